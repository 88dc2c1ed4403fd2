/* Starts Android's runtime (Debian's libart) outside Android and calls a class's main:
 *
 *   launcher OPTION... -- package/Class ARGUMENT...
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <jni.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_OPTIONS 64
#define LEAST_STACK (128 * 1024)

/* The runtime's pool asks for smaller stacks than glibc allows on aarch64; any stack of its own will do. */
int pthread_attr_setstack(pthread_attr_t *attributes, void *address, size_t size) {
  typedef int (*Function)(pthread_attr_t *, void *, size_t);
  static Function original;
  if (size < LEAST_STACK) return pthread_attr_setstacksize(attributes, 8 * LEAST_STACK);
  if (original == NULL) original = (Function)dlsym(RTLD_NEXT, "pthread_attr_setstack");
  return original(attributes, address, size);
}

static int fail(const char *what) {
  fprintf(stderr, "launcher: %s\n", what);
  return 1;
}

static int fail_with_exception(JNIEnv *env, const char *what) {
  (*env)->ExceptionDescribe(env);
  return fail(what);
}

int main(int count, char **arguments) {
  JavaVMOption options[MOST_OPTIONS];
  int used = 0, at = 1;
  for (; at < count && strcmp(arguments[at], "--") != 0; at++) {
    if (used == MOST_OPTIONS) return fail("too many options");
    options[used].optionString = arguments[at];
    options[used++].extraInfo = NULL;
  }
  if (at + 1 >= count) return fail("expected -- and a class");

  void *library = dlopen("libart.so.0", RTLD_NOW | RTLD_GLOBAL);
  if (library == NULL) return fail(dlerror());
  typedef jint (*Create)(JavaVM **, JNIEnv **, void *);
  Create create = (Create)dlsym(library, "JNI_CreateJavaVM");
  JavaVMInitArgs start = {JNI_VERSION_1_6, used, options, JNI_FALSE};
  JavaVM *machine;
  JNIEnv *env;
  if (create == NULL || create(&machine, &env, &start) != JNI_OK) return fail("the runtime does not start");

  jclass target = (*env)->FindClass(env, arguments[at + 1]);
  if (target == NULL) return fail_with_exception(env, "no such class");
  jmethodID method = (*env)->GetStaticMethodID(env, target, "main", "([Ljava/lang/String;)V");
  if (method == NULL) return fail_with_exception(env, "the class has no main");
  jclass text = (*env)->FindClass(env, "java/lang/String");
  jobjectArray values = (*env)->NewObjectArray(env, count - at - 2, text, NULL);
  for (int i = at + 2; i < count; i++) {
    (*env)->SetObjectArrayElement(env, values, i - at - 2, (*env)->NewStringUTF(env, arguments[i]));
  }
  (*env)->CallStaticVoidMethod(env, target, method, values);
  if ((*env)->ExceptionCheck(env)) return fail_with_exception(env, "main threw an exception");
  fflush(stdout);
  _Exit(0); /* what is not ported of the runtime does not shut down */
}
