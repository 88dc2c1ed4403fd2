// System.load: hands a library to the runtime's own loader, which Debian's libart exports under its C++ name.
#include <jni.h>

#include <string>

struct _JNIEnv;  // Android's name of JNIEnv, which is a part of the symbol

namespace art {
class JavaVMExt {
 public:
  bool LoadNativeLibrary(_JNIEnv *env, const std::string &path, jobject loader, jclass caller, std::string *error);
};
}  // namespace art

extern "C" JNIEXPORT jstring JNICALL Java_java_lang_Runtime_nativeLoad(JNIEnv *env, jclass, jstring name,
                                                                       jobject loader, jclass caller) {
  const char *text = env->GetStringUTFChars(name, nullptr);
  const std::string path(text);
  env->ReleaseStringUTFChars(name, text);
  JavaVM *machine;
  env->GetJavaVM(&machine);
  std::string error;
  auto *runtime = reinterpret_cast<art::JavaVMExt *>(machine);
  if (runtime->LoadNativeLibrary(reinterpret_cast<_JNIEnv *>(env), path, loader, caller, &error)) return nullptr;
  return env->NewStringUTF(error.c_str());
}
