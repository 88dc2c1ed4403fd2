// The app's native side: the C++ core behind the functions of org.innlite.demo.Native. No C++ exception
// leaves it; each becomes an InnException with the same message.
#include <jni.h>

#include <cmath>
#include <memory>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "bundle.h"
#include "engine.h"
#include "error.h"
#include "json.h"
#include "model.h"
#include "session.h"
#include "store.h"
#include "text.h"

namespace {

using Bundle = std::shared_ptr<const inn::Bundle>;

struct BuiltModel {
  Bundle bundle;
  inn::Session session;
};

std::shared_ptr<inn::Engine> engine;  // set once, before anything else is called

Bundle &BundleOf(jlong handle) { return *reinterpret_cast<Bundle *>(handle); }

// Not NewStringUTF, which takes neither characters beyond 16 bits nor the bytes that a file name may hold.
jstring Text(JNIEnv *env, const std::string &text) {
  std::u16string units;
  for (char32_t character : inn::Decode(text)) {
    if (character < 0x10000) {
      units += char16_t(character);
    } else {
      units += char16_t(0xD800 + ((character - 0x10000) >> 10));
      units += char16_t(0xDC00 + ((character - 0x10000) & 0x3FF));
    }
  }
  return env->NewString(reinterpret_cast<const jchar *>(units.data()), jsize(units.size()));
}

void Throw(JNIEnv *env, const char *message) {
  if (env->ExceptionCheck()) return;
  const jclass kind = env->FindClass("org/innlite/demo/InnException");
  if (kind == nullptr) return;
  const jmethodID create = env->GetMethodID(kind, "<init>", "(Ljava/lang/String;)V");
  const jstring text = Text(env, message);
  if (create != nullptr && text != nullptr) env->Throw(static_cast<jthrowable>(env->NewObject(kind, create, text)));
}

// The result of `function`, or a pending InnException and `otherwise`.
template <typename Result, typename Function>
Result Guarded(JNIEnv *env, Result otherwise, Function function) {
  try {
    return function();
  } catch (const std::bad_alloc &) {
    Throw(env, "There is not enough memory.");
  } catch (const std::exception &error) {
    Throw(env, error.what());
  }
  return otherwise;
}

std::string Text(JNIEnv *env, jstring text) {
  const char *units = env->GetStringUTFChars(text, nullptr);
  if (units == nullptr) throw std::bad_alloc();
  const std::string result(units);
  env->ReleaseStringUTFChars(text, units);
  return result;
}

jobjectArray Texts(JNIEnv *env, const std::vector<std::string> &texts) {
  const jobjectArray array = env->NewObjectArray(jsize(texts.size()), env->FindClass("java/lang/String"), nullptr);
  for (size_t i = 0; array != nullptr && i < texts.size(); i++) {
    const jstring text = Text(env, texts[i]);
    if (text == nullptr) return nullptr;
    env->SetObjectArrayElement(array, jsize(i), text);
    env->DeleteLocalRef(text);
  }
  return array;
}

jdoubleArray Numbers(JNIEnv *env, const std::vector<double> &numbers) {
  const jdoubleArray array = env->NewDoubleArray(jsize(numbers.size()));
  if (array != nullptr) env->SetDoubleArrayRegion(array, 0, jsize(numbers.size()), numbers.data());
  return array;
}

const inn::Port &ImageInput(const inn::Bundle &bundle) {
  const auto &inputs = bundle.manifest().inputs;
  if (inputs.size() != 1 || inputs[0].shape.size() != 4) {
    throw inn::UsageError(bundle.source() + ": expected a network with one input, an image");
  }
  return inputs[0];
}

// The first figure that says how good a size is; null where there is none.
const std::pair<std::string, double> *FirstMetric(const inn::Size &size) {
  for (const auto &entry : size.measured) {
    if (entry.first != "parameters" && entry.first != "macs") return &entry;
  }
  return nullptr;
}

double Number(const inn::Json &value) {
  if (value.kind == inn::Json::kInteger) return double(value.integer);
  if (value.kind == inn::Json::kFloat || value.kind == inn::Json::kBigInteger) return value.number;
  throw inn::BundleError("preprocessing: expected a number, found " + inn::Shown(value));
}

// One number for each of `count` channels; a single one is meant for all.
std::vector<double> PerChannel(const inn::Json *value, size_t count, double otherwise, const char *name) {
  if (value == nullptr) return std::vector<double>(count, otherwise);
  if (value->kind != inn::Json::kList) return std::vector<double>(count, Number(*value));
  const auto &items = value->items();
  if (items.size() != 1 && items.size() != count) {
    throw inn::BundleError(std::string("preprocessing: ") + name + ": expected " + std::to_string(count) +
                           " numbers, found " + std::to_string(items.size()));
  }
  std::vector<double> numbers;
  for (size_t i = 0; i < count; i++) numbers.push_back(Number(items[items.size() == 1 ? 0 : i]));
  return numbers;
}

}  // namespace

#define INN_NATIVE(result, name) extern "C" JNIEXPORT result JNICALL Java_org_innlite_demo_Native_##name

INN_NATIVE(void, loadEngine)(JNIEnv *env, jclass, jstring interface, jstring folder) {
  Guarded(env, 0, [&] {
    engine = inn::Engine::Load(Text(env, interface), Text(env, folder));
    return 0;
  });
}

INN_NATIVE(jlong, open)(JNIEnv *env, jclass, jstring path) {
  return Guarded(env, jlong(0), [&] {
    return reinterpret_cast<jlong>(new Bundle(std::make_shared<inn::Bundle>(Text(env, path))));
  });
}

INN_NATIVE(void, closeBundle)(JNIEnv *, jclass, jlong bundle) { delete &BundleOf(bundle); }

INN_NATIVE(jstring, name)(JNIEnv *env, jclass, jlong bundle) {
  return Guarded(env, jstring(nullptr), [&] { return Text(env, BundleOf(bundle)->manifest().name); });
}

INN_NATIVE(jintArray, inputShape)(JNIEnv *env, jclass, jlong bundle) {
  return Guarded(env, jintArray(nullptr), [&] {
    const auto &shape = ImageInput(*BundleOf(bundle)).shape;
    const jint numbers[] = {jint(shape[1]), jint(shape[2]), jint(shape[3])};
    const jintArray array = env->NewIntArray(3);
    if (array != nullptr) env->SetIntArrayRegion(array, 0, 3, numbers);
    return array;
  });
}

INN_NATIVE(jdoubleArray, preprocessing)(JNIEnv *env, jclass, jlong bundle) {
  return Guarded(env, jdoubleArray(nullptr), [&]() -> jdoubleArray {
    // The core has checked the manifest and keeps nothing that it does not need itself.
    const inn::Bundle &opened = *BundleOf(bundle);
    const size_t channels = size_t(ImageInput(opened).shape[1]);
    const inn::Json manifest = inn::ParseJson(inn::FileStore(opened.source()).manifest());
    const inn::Json *values = manifest.Find("inputs")->items()[0].Find("preprocessing");
    if (values == nullptr || values->kind != inn::Json::kObject) return nullptr;
    std::vector<double> numbers;
    for (const char *name : {"crop", "scale"}) {
      const inn::Json *value = values->Find(name);
      numbers.push_back(value == nullptr ? 1 : PerChannel(value, 1, 1, name)[0]);
    }
    for (double mean : PerChannel(values->Find("mean"), channels, 0, "mean")) numbers.push_back(mean);
    for (double std : PerChannel(values->Find("std"), channels, 1, "std")) numbers.push_back(std);
    for (size_t i = 0; i < numbers.size(); i++) {
      const bool is_mean = i >= 2 && i < 2 + channels;
      if (!std::isfinite(numbers[i]) || (!is_mean && numbers[i] <= 0)) {
        throw inn::BundleError("preprocessing: expected crop, scale and std above 0");
      }
    }
    if (numbers[0] > 1) throw inn::BundleError("preprocessing: crop: expected at most 1");
    return Numbers(env, numbers);
  });
}

INN_NATIVE(jobjectArray, labels)(JNIEnv *env, jclass, jlong bundle) {
  return Guarded(env, jobjectArray(nullptr), [&] { return Texts(env, BundleOf(bundle)->manifest().labels); });
}

INN_NATIVE(jstring, metric)(JNIEnv *env, jclass, jlong bundle) {
  return Guarded(env, jstring(nullptr), [&] {
    for (const auto &size : BundleOf(bundle)->manifest().sizes) {
      if (const auto *found = FirstMetric(size)) return Text(env, found->first);
    }
    return Text(env, std::string());
  });
}

INN_NATIVE(jobjectArray, sizeNames)(JNIEnv *env, jclass, jlong bundle) {
  return Guarded(env, jobjectArray(nullptr), [&] {
    const auto &manifest = BundleOf(bundle)->manifest();
    std::vector<std::string> names;
    for (const auto &size : manifest.sizes) {
      std::string found;
      for (const auto &[name, value] : manifest.presets) {
        if (value == size.size) found = name;
      }
      names.push_back(found);
    }
    return Texts(env, names);
  });
}

INN_NATIVE(jdoubleArray, sizes)(JNIEnv *env, jclass, jlong bundle) {
  return Guarded(env, jdoubleArray(nullptr), [&] {
    std::vector<double> numbers;
    for (const auto &size : BundleOf(bundle)->manifest().sizes) {
      const inn::Model model(BundleOf(bundle), size.size);
      const auto *metric = FirstMetric(size);
      const double quality = metric == nullptr ? std::nan("") : metric->second;
      for (double number : {size.size, double(model.parameters()), 2 * double(model.macs()),
                            model.IsSafe() ? 1.0 : 0.0, quality}) {
        numbers.push_back(number);
      }
    }
    return Numbers(env, numbers);
  });
}

INN_NATIVE(jlong, build)(JNIEnv *env, jclass, jlong bundle, jdouble size, jint threads) {
  return Guarded(env, jlong(0), [&] {
    const Bundle &opened = BundleOf(bundle);
    const inn::Model model(opened, size);
    return reinterpret_cast<jlong>(new BuiltModel{opened, inn::Session(engine, model, threads)});
  });
}

INN_NATIVE(void, closeModel)(JNIEnv *, jclass, jlong model) { delete reinterpret_cast<BuiltModel *>(model); }

INN_NATIVE(jdoubleArray, facts)(JNIEnv *env, jclass, jlong model) {
  const inn::Session &session = reinterpret_cast<BuiltModel *>(model)->session;
  return Numbers(env, {double(session.model_bytes()), session.resample_seconds() * 1e3, session.build_seconds() * 1e3});
}

INN_NATIVE(jfloatArray, run)(JNIEnv *env, jclass, jlong handle, jfloatArray input) {
  return Guarded(env, jfloatArray(nullptr), [&] {
    BuiltModel &model = *reinterpret_cast<BuiltModel *>(handle);
    const inn::Port &port = ImageInput(*model.bundle);
    inn::Tensor tensor = {port.shape, std::vector<float>(size_t(inn::CountOf(port.shape)))};
    const auto count = jsize(tensor.values.size());
    if (env->GetArrayLength(input) != count) {
      throw inn::UsageError("input " + port.name + ": expected " + std::to_string(count) + " values, found " +
                            std::to_string(env->GetArrayLength(input)));
    }
    env->GetFloatArrayRegion(input, 0, count, tensor.values.data());
    const auto output = model.session.Run({{port.name, std::move(tensor)}}).at(0).values;
    const jfloatArray result = env->NewFloatArray(jsize(output.size()));
    if (result != nullptr) env->SetFloatArrayRegion(result, 0, jsize(output.size()), output.data());
    return result;
  });
}
