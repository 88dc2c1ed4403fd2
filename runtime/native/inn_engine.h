/* A C interface to MindSpore Lite's inference, for callers that cannot use its C++ one (ctypes, JNI).
 *
 * Functions that can fail say so in their result and leave a line in inn_engine_last_error(). No C++
 * exception leaves them. A model may be used from any thread, but by one at a time.
 *
 * To extend: add functions, never change or reorder what is here; raise INN_ENGINE_ABI when that cannot
 * be avoided.
 */
#ifndef INN_ENGINE_H_
#define INN_ENGINE_H_

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define INN_ENGINE_ABI 1
#define INN_EXPORT __attribute__((visibility("default")))

typedef struct inn_model inn_model;

/* Which of a model's two lists of tensors is meant. */
typedef enum inn_side { INN_INPUTS = 0, INN_OUTPUTS = 1 } inn_side;

/* What is known about a tensor without touching its data. The pointers belong to the model and live until
 * its next inn_model_run, inn_model_resize or inn_model_destroy. */
typedef struct inn_tensor {
  const char *name;     /* UTF-8, ends with a zero */
  const int64_t *shape; /* rank numbers; -1 where the model leaves one open */
  size_t rank;
  int32_t dtype; /* MindSpore's number of the type: 43 is float32, 42 float16, 34 int32 ... */
} inn_tensor;

/* INN_ENGINE_ABI of the compiled library, to be compared with the header's. */
INN_EXPORT int32_t inn_engine_abi(void);

/* Why the calling thread's latest failed call failed; "" before the first failure. Never NULL. */
INN_EXPORT const char *inn_engine_last_error(void);

/* Build a model from the bytes of a .ms file, to run on `threads` CPU threads in float32. The bytes are
 * copied. NULL on failure. */
INN_EXPORT inn_model *inn_model_create(const void *data, size_t size, int32_t threads);

/* NULL is allowed. */
INN_EXPORT void inn_model_destroy(inn_model *model);

INN_EXPORT size_t inn_model_count(const inn_model *model, inn_side side);

/* 0, or -1 when there is no tensor `index`. Shapes of outputs are those of the latest run; before the
 * first they may be empty. */
INN_EXPORT int32_t inn_model_describe(const inn_model *model, inn_side side, size_t index, inn_tensor *tensor);

/* The tensor's memory and, where `bytes` is not NULL, its size. Write to an input's before a run, read an
 * output's after it; both stay valid until the next run or resize. NULL on failure. */
INN_EXPORT void *inn_model_data(inn_model *model, inn_side side, size_t index, size_t *bytes);

/* Give every input a new shape: the shapes one after another, of the inputs' ranks. 0, or -1 on failure,
 * after which the model keeps its former shapes where the engine lets it. */
INN_EXPORT int32_t inn_model_resize(inn_model *model, const int64_t *shapes);

/* 0, or -1 on failure. */
INN_EXPORT int32_t inn_model_run(inn_model *model);

/* Called once for every node that ran, in order of execution: its name and type (UTF-8, valid during the
 * call only) and the time it took. `user` is what inn_model_profile was given. */
typedef void (*inn_node_report)(void *user, const char *name, const char *type, double milliseconds);

/* A run like inn_model_run that also times every node; somewhat slower for it. */
INN_EXPORT int32_t inn_model_profile(inn_model *model, inn_node_report report, void *user);

#ifdef __cplusplus
}
#endif

#endif /* INN_ENGINE_H_ */
