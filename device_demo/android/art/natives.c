/* The natives of Android's class library that starting the runtime and running plain Java takes. On a phone
 * they are parts of the system that Debian does not build. Their names are those that JNI looks for. */
#include <jni.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define NATIVE(type, name) JNIEXPORT type JNICALL Java_##name

JNIEXPORT jint JNICALL JNI_OnLoad(JavaVM *machine, void *reserved) {
  (void)machine, (void)reserved;
  return JNI_VERSION_1_6;
}

#pragma GCC diagnostic ignored "-Wunused-parameter"

static jlong now(clockid_t clock, jlong units) {
  struct timespec time;
  clock_gettime(clock, &time);
  return time.tv_sec * units + time.tv_nsec / (1000000000 / units);
}

NATIVE(jlong, java_lang_System_nanoTime)(JNIEnv *env, jclass kind) { return now(CLOCK_MONOTONIC, 1000000000); }
NATIVE(jlong, java_lang_System_currentTimeMillis)(JNIEnv *env, jclass kind) { return now(CLOCK_REALTIME, 1000); }

#define SAME_BITS(name, From, To)                          \
  NATIVE(To, name)(JNIEnv *env, jclass kind, From value) { \
    To bits;                                               \
    memcpy(&bits, &value, sizeof bits);                    \
    return bits;                                           \
  }
SAME_BITS(java_lang_Float_floatToRawIntBits, jfloat, jint)
SAME_BITS(java_lang_Float_intBitsToFloat, jint, jfloat)
SAME_BITS(java_lang_Double_doubleToRawLongBits, jdouble, jlong)
SAME_BITS(java_lang_Double_longBitsToDouble, jlong, jdouble)

/* Math's are "critical": they are called without environment and class. */
#define OF_ONE(name)                                                    \
  NATIVE(jdouble, java_lang_Math_##name)(jdouble x) { return name(x); } \
  NATIVE(jdouble, java_lang_StrictMath_##name)(JNIEnv *env, jclass kind, jdouble x) { return name(x); }
OF_ONE(sin) OF_ONE(cos) OF_ONE(tan) OF_ONE(asin) OF_ONE(acos) OF_ONE(atan) OF_ONE(exp) OF_ONE(log)
OF_ONE(log10) OF_ONE(sqrt) OF_ONE(cbrt) OF_ONE(sinh) OF_ONE(cosh) OF_ONE(tanh) OF_ONE(expm1) OF_ONE(log1p)
OF_ONE(floor) OF_ONE(ceil) OF_ONE(rint)

#define OF_TWO(name, function)                                                            \
  NATIVE(jdouble, java_lang_Math_##name)(jdouble x, jdouble y) { return function(x, y); } \
  NATIVE(jdouble, java_lang_StrictMath_##name)(JNIEnv *env, jclass kind, jdouble x, jdouble y) { return function(x, y); }
OF_TWO(atan2, atan2) OF_TWO(pow, pow) OF_TWO(hypot, hypot) OF_TWO(IEEEremainder, remainder)

/* The system, as little of it as the class library asks for while it starts. */
NATIVE(void, android_system_OsConstants_initConstants)(JNIEnv *env, jclass kind) {}
NATIVE(jlong, libcore_io_Linux_sysconf)(JNIEnv *env, jobject self, jint name) { return 2; /* processors */ }
NATIVE(jstring, libcore_io_Linux_getenv)(JNIEnv *env, jobject self, jstring name) { return NULL; }
NATIVE(jint, libcore_io_Linux_getuid)(JNIEnv *env, jobject self) { return (jint)getuid(); }
NATIVE(jint, libcore_io_Linux_getpid)(JNIEnv *env, jobject self) { return getpid(); }
NATIVE(jint, libcore_io_Linux_gettid)(JNIEnv *env, jobject self) { return getpid(); }
NATIVE(jlong, java_util_regex_Pattern_getNativeFinalizer)(JNIEnv *env, jclass kind) { return 1; }
NATIVE(jlong, java_util_regex_Matcher_getNativeFinalizer)(JNIEnv *env, jclass kind) { return 1; }
NATIVE(void, libcore_util_NativeAllocationRegistry_applyFreeFunction)(JNIEnv *env, jclass kind, jlong function,
                                                                      jlong pointer) {}

static void print(int file, const char *text, size_t size) {
  while (size > 0) {
    const ssize_t written = write(file, text, size);
    if (written <= 0) return;
    text += written;
    size -= (size_t)written;
  }
}

NATIVE(void, java_lang_Console_write)(JNIEnv *env, jclass kind, jint file, jbyteArray bytes, jint count) {
  jbyte *content = (*env)->GetByteArrayElements(env, bytes, NULL);
  if (content == NULL) return;
  print(file, (const char *)content, (size_t)count);
  (*env)->ReleaseByteArrayElements(env, bytes, content, JNI_ABORT);
}

NATIVE(void, java_lang_System_log)(JNIEnv *env, jclass kind, jchar level, jstring message, jthrowable cause) {
  const char *text = (*env)->GetStringUTFChars(env, message, NULL);
  if (text == NULL) return;
  print(STDERR_FILENO, text, strlen(text));
  print(STDERR_FILENO, "\n", 1);
  (*env)->ReleaseStringUTFChars(env, message, text);
}

NATIVE(void, java_io_UnixFileSystem_initIDs)(JNIEnv *env, jclass kind) {}
NATIVE(jstring, java_io_UnixFileSystem_canonicalize0)(JNIEnv *env, jobject self, jstring path) { return path; }
NATIVE(jboolean, java_io_UnixFileSystem_checkAccess0)(JNIEnv *env, jobject self, jobject file, jint access) {
  return JNI_TRUE;
}

NATIVE(jint, java_io_UnixFileSystem_getBooleanAttributes0)(JNIEnv *env, jobject self, jstring path) {
  enum { EXISTS = 1, REGULAR = 2, FOLDER = 4 };
  const char *text = (*env)->GetStringUTFChars(env, path, NULL);
  if (text == NULL) return 0;
  struct stat found;
  jint attributes = 0;
  if (stat(text, &found) == 0) {
    attributes = EXISTS | (S_ISREG(found.st_mode) ? REGULAR : 0) | (S_ISDIR(found.st_mode) ? FOLDER : 0);
  }
  (*env)->ReleaseStringUTFChars(env, path, text);
  return attributes;
}
