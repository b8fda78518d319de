// The functions of libcudnn that minigrad/backend/libcudnn.py declares, on host memory, in naive loops of doubles.
//
// Strict: an answer other than 0 meets whatever cuDNN refuses, computes wrongly or leaves to chance: handles and
// descriptors that are not there (any more) or do not fit together, a handle in two hands or on another GPU than its
// own, a stream that is not CuPy's, scaling factors of another type, memory that is too small or not aligned, a type
// of math that nobody chose. Uninitialized results stay NaN where nobody writes to them.
//
// Told by the numbers: TF32 rounds the operands, and an algorithm that is not deterministic gives other bits each time.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "half.h"

#define API extern "C" __attribute__((visibility("default")))

enum { SUCCESS = 0, NOT_INITIALIZED = 1001, BAD_PARAM = 2000, NULL_POINTER = 2002, MISALIGNED = 2003,
       SIZE_INSUFFICIENT = 2006, STREAM_MISMATCH = 2007, SHAPE_MISMATCH = 2008, NOT_SUPPORTED = 3000,
       NOT_SUPPORTED_LAYOUT = 3004, EXECUTION_FAILED = 5000 };
enum { FLOAT, DOUBLE, HALF };
enum { NCHW, NHWC };
enum { DEFAULT_MATH, TENSOR_OP_MATH, ALLOW_CONVERSION, FMA_MATH };
enum { NONDETERMINISTIC, DETERMINISTIC };
enum Algorithm { UNSURE, GOOD, SURPRISING, HUGE_ROOM, REFUSED };

static const size_t ROOM = 4096;  // bytes that GOOD and UNSURE need

struct Handle {
    int device;
    void* stream = nullptr;
    std::atomic<bool> busy{false};
};

struct Descriptor {  // of a tensor ('T'), a filter ('F') or a convolution ('C')
    char kind;
    bool set = false;
    int type = -1, format = -1, dims[4] = {};
    int pad[2], stride[2], dilation[2], mode, groups = 1, math = -1;

    size_t size() const { return size_t(dims[0]) * dims[1] * dims[2] * dims[3]; }
    size_t at(int n, int c, int h, int w) const {
        if (format == NCHW) return ((size_t(n) * dims[1] + c) * dims[2] + h) * dims[3] + w;
        return ((size_t(n) * dims[2] + h) * dims[3] + w) * dims[1] + c;
    }
};

struct Performance {
    int algorithm, status;
    float time;
    size_t memory;
    int determinism, math, reserved[3];
};

// What tests read and set.
struct Notes {
    long descriptors, handles, runs;      // alive, made, and convolutions computed
    long format, math, algorithm, stream;  // of the last one
    long version, microseconds;           // what cudnnGetVersion says; how long a convolution takes at least
};
static Notes notes;
API Notes* fake_notes() { return &notes; }

static std::mutex guard;
static std::map<Descriptor*, std::unique_ptr<Descriptor>> descriptors;
static std::vector<std::unique_ptr<Descriptor>> gone;  // so that no address comes again
static std::map<Handle*, std::unique_ptr<Handle>> handles;
static std::map<std::string, int> planned;
static void (*where)(int* device, void** stream);  // where CuPy is
static thread_local std::string last_error;

API void fake_reset(void (*place)(int*, void**)) {
    std::lock_guard<std::mutex> held(guard);
    descriptors.clear();
    gone.clear();
    handles.clear();
    planned.clear();
    notes = Notes{0, 0, 0, -1, -1, -1, -1, 92800, 0};
    where = place;
}
API void fake_plan(const char* name, int status) {  // what a function answers next
    std::lock_guard<std::mutex> held(guard);
    planned[name] = status;
}

static int refuse(int status, const std::string& reason) {
    last_error = reason;
    return status;
}
#define REFUSE_IF(condition, status) if (condition) return refuse(status, #condition)
#define ENTER(name) if (int status = next_answer(name)) return refuse(status, "a planned failure")

static int next_answer(const char* name) {
    std::lock_guard<std::mutex> held(guard);
    auto found = planned.find(name);
    if (found == planned.end()) return 0;
    int status = found->second;
    planned.erase(found);
    return status;
}

static bool alive(Descriptor* d, char kind, bool set = true) {
    std::lock_guard<std::mutex> held(guard);
    return descriptors.count(d) && d->kind == kind && d->set == set;
}
static bool exists(Descriptor* d, char kind) { return alive(d, kind, true) || alive(d, kind, false); }

// ---- the library, handles

API size_t cudnnGetVersion() { return notes.version; }

API const char* cudnnGetErrorString(int status) {
    static const std::map<int, const char*> names = {
        {SUCCESS, "CUDNN_STATUS_SUCCESS"}, {NOT_INITIALIZED, "CUDNN_STATUS_NOT_INITIALIZED"},
        {BAD_PARAM, "CUDNN_STATUS_BAD_PARAM"}, {NULL_POINTER, "CUDNN_STATUS_BAD_PARAM_NULL_POINTER"},
        {MISALIGNED, "CUDNN_STATUS_BAD_PARAM_MISALIGNED_POINTER"},
        {SIZE_INSUFFICIENT, "CUDNN_STATUS_BAD_PARAM_SIZE_INSUFFICIENT"},
        {STREAM_MISMATCH, "CUDNN_STATUS_BAD_PARAM_STREAM_MISMATCH"},
        {SHAPE_MISMATCH, "CUDNN_STATUS_BAD_PARAM_SHAPE_MISMATCH"}, {NOT_SUPPORTED, "CUDNN_STATUS_NOT_SUPPORTED"},
        {NOT_SUPPORTED_LAYOUT, "CUDNN_STATUS_NOT_SUPPORTED_LAYOUT"},
        {EXECUTION_FAILED, "CUDNN_STATUS_EXECUTION_FAILED"}};
    auto found = names.find(status);
    return found == names.end() ? "CUDNN_UNKNOWN_STATUS" : found->second;
}

API void cudnnGetLastErrorString(char* message, size_t size) {
    message[last_error.copy(message, size - 1)] = 0;
    last_error.clear();
}

API int cudnnCreate(Handle** handle) {
    ENTER("cudnnCreate");
    int device;
    void* stream;
    where(&device, &stream);
    std::lock_guard<std::mutex> held(guard);
    auto made = std::make_unique<Handle>();
    made->device = device;
    made->stream = reinterpret_cast<void*>(-1);  // none: the real one would take the null stream
    *handle = made.get();
    handles[made.get()] = std::move(made);
    notes.handles++;
    return SUCCESS;
}

// A handle in the hand of one thread, on the current GPU.
struct Held {
    Handle* handle = nullptr;
    const char* fault = nullptr;
    void* stream = nullptr;

    explicit Held(Handle* wanted) {
        int device;
        where(&device, &stream);
        std::lock_guard<std::mutex> held(guard);
        if (!handles.count(wanted)) fault = "there is no such handle";
        else if (wanted->device != device) fault = "the handle is of another GPU than the current one";
        else if (wanted->busy.exchange(true)) fault = "the handle is in use by another thread";
        else handle = wanted;
    }
    ~Held() {
        if (handle) handle->busy = false;
    }
};

API int cudnnSetStream(Handle* handle, void* stream) {
    ENTER("cudnnSetStream");
    Held held(handle);
    if (held.fault) return refuse(BAD_PARAM, held.fault);
    handle->stream = stream;
    return SUCCESS;
}

// ---- descriptors

static int create(Descriptor** d, char kind) {
    std::lock_guard<std::mutex> held(guard);
    auto made = std::make_unique<Descriptor>();
    made->kind = kind;
    *d = made.get();
    descriptors[made.get()] = std::move(made);
    notes.descriptors++;
    return SUCCESS;
}
static int destroy(Descriptor* d, char kind) {
    REFUSE_IF(!exists(d, kind), BAD_PARAM);
    std::lock_guard<std::mutex> held(guard);
    gone.push_back(std::move(descriptors[d]));
    descriptors.erase(d);
    notes.descriptors--;
    return SUCCESS;
}
#define LIFE(name, kind)                                                                         \
    API int cudnnCreate##name##Descriptor(Descriptor** d) {                                      \
        ENTER("cudnnCreate" #name "Descriptor");                                                 \
        return create(d, kind);                                                                  \
    }                                                                                            \
    API int cudnnDestroy##name##Descriptor(Descriptor* d) { return destroy(d, kind); }
LIFE(Tensor, 'T')
LIFE(Filter, 'F')
LIFE(Convolution, 'C')

static int set_4d(Descriptor* d, char kind, int format, int type, int n, int c, int h, int w) {
    REFUSE_IF(!exists(d, kind), BAD_PARAM);
    REFUSE_IF(std::min({n, c, h, w}) < 1, BAD_PARAM);
    REFUSE_IF(format != NCHW && format != NHWC, BAD_PARAM);
    REFUSE_IF(type != FLOAT && type != DOUBLE && type != HALF, BAD_PARAM);
    REFUSE_IF(double(n) * c * h * w >= 2147483648.0, NOT_SUPPORTED);
    d->type = type, d->format = format, d->set = true;
    int dims[] = {n, c, h, w};
    std::copy(dims, dims + 4, d->dims);
    return SUCCESS;
}
API int cudnnSetTensor4dDescriptor(Descriptor* d, int format, int type, int n, int c, int h, int w) {
    ENTER("cudnnSetTensor4dDescriptor");
    return set_4d(d, 'T', format, type, n, c, h, w);
}
API int cudnnSetFilter4dDescriptor(Descriptor* d, int type, int format, int k, int c, int h, int w) {
    ENTER("cudnnSetFilter4dDescriptor");
    return set_4d(d, 'F', format, type, k, c, h, w);
}
API int cudnnSetConvolution2dDescriptor(Descriptor* d, int pad_h, int pad_w, int u, int v, int dilation_h,
                                        int dilation_w, int mode, int type) {
    ENTER("cudnnSetConvolution2dDescriptor");
    REFUSE_IF(!exists(d, 'C'), BAD_PARAM);
    REFUSE_IF(std::min(pad_h, pad_w) < 0 || std::min({u, v, dilation_h, dilation_w}) < 1, BAD_PARAM);
    REFUSE_IF(mode != 1, NOT_SUPPORTED);  // a convolution proper flips the kernel
    d->pad[0] = pad_h, d->pad[1] = pad_w, d->stride[0] = u, d->stride[1] = v;
    d->dilation[0] = dilation_h, d->dilation[1] = dilation_w, d->mode = mode, d->type = type, d->set = true;
    return SUCCESS;
}
API int cudnnSetConvolutionGroupCount(Descriptor* d, int groups) {
    ENTER("cudnnSetConvolutionGroupCount");
    REFUSE_IF(!alive(d, 'C') || groups < 1, BAD_PARAM);
    d->groups = groups;
    return SUCCESS;
}
API int cudnnSetConvolutionMathType(Descriptor* d, int math) {
    ENTER("cudnnSetConvolutionMathType");
    REFUSE_IF(!alive(d, 'C') || math < DEFAULT_MATH || math > FMA_MATH, BAD_PARAM);
    d->math = math;
    return SUCCESS;
}

static int fit(Descriptor* x, Descriptor* w, Descriptor* y, Descriptor* conv) {
    REFUSE_IF(!alive(x, 'T') || !alive(w, 'F') || !alive(y, 'T') || !alive(conv, 'C'), BAD_PARAM);
    REFUSE_IF(x->type != w->type || x->type != y->type, BAD_PARAM);
    REFUSE_IF(x->format != w->format || x->format != y->format, BAD_PARAM);
    REFUSE_IF(conv->type != (x->type == DOUBLE ? DOUBLE : FLOAT), BAD_PARAM);
    REFUSE_IF(conv->math == -1, BAD_PARAM);
    REFUSE_IF(x->dims[1] != w->dims[1] * conv->groups || w->dims[0] % conv->groups, SHAPE_MISMATCH);
    REFUSE_IF(x->dims[0] != y->dims[0] || w->dims[0] != y->dims[1], SHAPE_MISMATCH);
    for (int i = 0; i < 2; i++) {
        int reach = conv->dilation[i] * (w->dims[2 + i] - 1) + 1, room = x->dims[2 + i] + 2 * conv->pad[i] - reach;
        REFUSE_IF(room < 0 || y->dims[2 + i] != room / conv->stride[i] + 1, SHAPE_MISMATCH);
    }
    return SUCCESS;
}

// ---- algorithms

static int algorithms(Handle* handle, Descriptor* x, Descriptor* w, Descriptor* y, Descriptor* conv, int wanted,
                      int* count, Performance* answers) {
    Held held(handle);
    if (held.fault) return refuse(BAD_PARAM, held.fault);
    if (int status = fit(x, w, y, conv)) return status;
    REFUSE_IF(x->format == NHWC && conv->groups > 1, NOT_SUPPORTED_LAYOUT);
    bool exact = conv->math == FMA_MATH;
    Performance all[] = {
        {REFUSED, NOT_SUPPORTED, -1, 0, DETERMINISTIC, conv->math, {}},
        {UNSURE, SUCCESS, -1, ROOM, NONDETERMINISTIC, conv->math, {}},
        {HUGE_ROOM, SUCCESS, -1, size_t(2) << 30, DETERMINISTIC, conv->math, {}},
        {SURPRISING, SUCCESS, -1, 0, DETERMINISTIC, exact ? DEFAULT_MATH : ALLOW_CONVERSION, {}},
        {GOOD, SUCCESS, -1, ROOM, DETERMINISTIC, exact ? FMA_MATH : TENSOR_OP_MATH, {}},
    };
    *count = std::min<int>(wanted, sizeof(all) / sizeof(all[0]));
    std::copy(all, all + *count, answers);
    return SUCCESS;
}

static double rounded(double value, int type, int math) {  // as tensor cores round float32 to TF32
    if (type != FLOAT || math == FMA_MATH || !std::isfinite(value) || value == 0) return value;
    int exponent;
    double fraction = std::frexp(value, &exponent);
    return std::ldexp(std::nearbyint(std::ldexp(fraction, 11)), exponent - 11);
}
static double load(const void* p, int type, size_t i) {
    if (type == HALF) return static_cast<const half*>(p)[i];
    return type == FLOAT ? static_cast<const float*>(p)[i] : static_cast<const double*>(p)[i];
}
static void store(void* p, int type, size_t i, double value) {
    if (type == HALF) static_cast<half*>(p)[i] = half(value);
    else if (type == FLOAT) static_cast<float*>(p)[i] = float(value);
    else static_cast<double*>(p)[i] = value;
}

struct Operand {
    Descriptor* descriptor;
    void* data;
};

// One of the three is the result of the other two.
static int convolve(Handle* handle, const void* alpha, Operand x, Operand w, Operand y, Operand out, Descriptor* conv,
                    int algorithm, void* room, size_t bytes, const void* beta) {
    Held held(handle);
    if (held.fault) return refuse(BAD_PARAM, held.fault);
    REFUSE_IF(handle->stream != held.stream, STREAM_MISMATCH);
    Descriptor &dx = *x.descriptor, &dw = *w.descriptor, &dy = *y.descriptor;
    if (int status = fit(&dx, &dw, &dy, conv)) return status;
    REFUSE_IF(!x.data || !w.data || !y.data || !alpha || !beta, NULL_POINTER);
    REFUSE_IF((uintptr_t(x.data) | uintptr_t(w.data) | uintptr_t(y.data)) % 16, MISALIGNED);
    REFUSE_IF(load(alpha, conv->type, 0) != 1 || load(beta, conv->type, 0) != 0, BAD_PARAM);
    size_t need = algorithm == HUGE_ROOM ? size_t(2) << 30 : algorithm == SURPRISING ? 0 : ROOM;
    REFUSE_IF(need && (!room || bytes < need), SIZE_INSUFFICIENT);
    REFUSE_IF(algorithm == REFUSED || (dx.format == NHWC && conv->groups > 1), NOT_SUPPORTED);
    if (room) memset(room, 0xAB, bytes);
    std::this_thread::sleep_for(std::chrono::microseconds(notes.microseconds));

    std::vector<double> sums(out.descriptor->size());
    int per_group = dw.dims[1], outputs = dw.dims[0] / conv->groups;
    for (int n = 0; n < dy.dims[0]; n++)
    for (int o = 0; o < dy.dims[1]; o++)
    for (int a = 0; a < dy.dims[2]; a++)
    for (int b = 0; b < dy.dims[3]; b++)
    for (int c = 0; c < per_group; c++)
    for (int i = 0; i < dw.dims[2]; i++)
    for (int j = 0; j < dw.dims[3]; j++) {
        int h = a * conv->stride[0] + i * conv->dilation[0] - conv->pad[0];
        int v = b * conv->stride[1] + j * conv->dilation[1] - conv->pad[1];
        if (h < 0 || h >= dx.dims[2] || v < 0 || v >= dx.dims[3]) continue;
        size_t places[] = {dx.at(n, o / outputs * per_group + c, h, v), dw.at(o, c, i, j), dy.at(n, o, a, b)};
        Operand operands[] = {x, w, y};
        double product = 1;
        size_t place = 0;
        for (int k = 0; k < 3; k++) {
            if (operands[k].data == out.data) place = places[k];
            else product *= rounded(load(operands[k].data, dx.type, places[k]), dx.type, conv->math);
        }
        sums[place] += product;
    }
    for (size_t i = 0; i < sums.size(); i++) {
        if (algorithm == UNSURE) sums[i] *= 1 + 1e-3 * (notes.runs + 1);
        store(out.data, dx.type, i, sums[i]);
    }
    std::lock_guard<std::mutex> guarded(guard);
    notes.runs++;
    notes.format = dx.format, notes.math = conv->math, notes.algorithm = algorithm, notes.stream = long(held.stream);
    return SUCCESS;
}

API int cudnnGetConvolutionForwardAlgorithm_v7(Handle* handle, Descriptor* x, Descriptor* w, Descriptor* conv,
                                               Descriptor* y, int wanted, int* count, Performance* answers) {
    ENTER("cudnnGetConvolutionForwardAlgorithm_v7");
    return algorithms(handle, x, w, y, conv, wanted, count, answers);
}
API int cudnnGetConvolutionBackwardDataAlgorithm_v7(Handle* handle, Descriptor* w, Descriptor* y, Descriptor* conv,
                                                    Descriptor* x, int wanted, int* count, Performance* answers) {
    ENTER("cudnnGetConvolutionBackwardDataAlgorithm_v7");
    return algorithms(handle, x, w, y, conv, wanted, count, answers);
}
API int cudnnGetConvolutionBackwardFilterAlgorithm_v7(Handle* handle, Descriptor* x, Descriptor* y, Descriptor* conv,
                                                      Descriptor* w, int wanted, int* count, Performance* answers) {
    ENTER("cudnnGetConvolutionBackwardFilterAlgorithm_v7");
    return algorithms(handle, x, w, y, conv, wanted, count, answers);
}
API int cudnnConvolutionForward(Handle* handle, const void* alpha, Descriptor* dx, void* x, Descriptor* dw, void* w,
                                Descriptor* conv, int algorithm, void* room, size_t bytes, const void* beta,
                                Descriptor* dy, void* y) {
    ENTER("cudnnConvolutionForward");
    return convolve(handle, alpha, {dx, x}, {dw, w}, {dy, y}, {dy, y}, conv, algorithm, room, bytes, beta);
}
API int cudnnConvolutionBackwardData(Handle* handle, const void* alpha, Descriptor* dw, void* w, Descriptor* dy,
                                     void* y, Descriptor* conv, int algorithm, void* room, size_t bytes,
                                     const void* beta, Descriptor* dx, void* x) {
    ENTER("cudnnConvolutionBackwardData");
    return convolve(handle, alpha, {dx, x}, {dw, w}, {dy, y}, {dx, x}, conv, algorithm, room, bytes, beta);
}
API int cudnnConvolutionBackwardFilter(Handle* handle, const void* alpha, Descriptor* dx, void* x, Descriptor* dy,
                                       void* y, Descriptor* conv, int algorithm, void* room, size_t bytes,
                                       const void* beta, Descriptor* dw, void* w) {
    ENTER("cudnnConvolutionBackwardFilter");
    return convolve(handle, alpha, {dx, x}, {dw, w}, {dy, y}, {dw, w}, conv, algorithm, room, bytes, beta);
}
