/* In place of system libraries that the runtime loads at its start and of which nothing is used here. */
#include <jni.h>

JNIEXPORT jint JNICALL JNI_OnLoad(JavaVM *machine, void *reserved) {
  (void)machine, (void)reserved;
  return JNI_VERSION_1_6;
}
