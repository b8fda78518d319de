// One launch over many tensors: blockIdx.y chooses the tensor, the blocks along x go through it together.

const int TENSORS = 80;  // as in multi.py: kernel parameters may take 4096 bytes

struct Tensors {
    long long size[TENSORS];
    void* p[TENSORS];
    const void* g[TENSORS];
    void* buffers[3][TENSORS];
};

// What all optimizers share; `found_inf` may be null, and so may `left_out`: how many steps the GPU has left out that
// `step` counts.
struct Common {
    double weight_decay;
    long long maximize;
    const float* found_inf;
    const float* left_out;
    double step;
};

// The part of tensor blockIdx.y that belongs to an optimizer's step.
template <typename T> struct Part {
    typedef typename Acc<T>::type A;
    long long size;
    T *p, *buffers[3];
    const T* g;
    A weight_decay;
    bool maximize;

    __device__ Part(const Tensors& tensors, const Common& common) {
        const int k = blockIdx.y;
        size = common.found_inf && *common.found_inf != 0 ? 0 : tensors.size[k];
        p = (T*)tensors.p[k];
        g = (const T*)tensors.g[k];
        for (int i = 0; i < 3; i++) buffers[i] = (T*)tensors.buffers[i][k];
        weight_decay = (A)common.weight_decay;
        maximize = common.maximize;
    }
    __device__ A gradient(long long i) const {
        const A slope = maximize ? -(A)g[i] : (A)g[i];
        return weight_decay != 0 ? weight_decay * (A)p[i] + slope : slope;
    }
};

template <typename T>
__global__ void sgd(Tensors tensors, Common common, double lr, double momentum, double share, int nesterov) {
    typedef typename Acc<T>::type A;
    const Part<T> part(tensors, common);
    for (long long i = first_index(); i < part.size; i += index_step()) {
        A g = part.gradient(i);
        if (part.buffers[0]) {
            const A b = (A)part.buffers[0][i] * (A)momentum + g * (A)share;
            part.buffers[0][i] = (T)b;
            g = nesterov ? g + b * (A)momentum : b;
        }
        part.p[i] = (T)((A)part.p[i] - g * (A)lr);
    }
}

template <typename T>
__global__ void adam(Tensors tensors, Common common, double kept, double b1, double rest1, double b2, double rest2,
                     double eps, double lr) {
    typedef typename Acc<T>::type A;
    const Part<T> part(tensors, common);
    if (common.left_out && *common.left_out != 0) {  // the host's corrections, for as many steps as were made
        const double made = common.step - *common.left_out;
        const double root = sqrt((1 - pow(b2, made)) / (1 - pow(b2, common.step)));
        eps *= root;
        lr *= root * (1 - pow(b1, common.step)) / (1 - pow(b1, made));
    }
    T *first = part.buffers[0], *second = part.buffers[1], *top = part.buffers[2];
    for (long long i = first_index(); i < part.size; i += index_step()) {
        const A g = part.gradient(i), m = (A)first[i] * (A)b1 + g * (A)rest1;
        A v = (A)second[i] * (A)b2 + g * g * (A)rest2;
        first[i] = (T)m;
        second[i] = (T)v;
        if (top) {
            v = Max()(v, (A)top[i]);
            top[i] = (T)v;
        }
        part.p[i] = (T)((A)part.p[i] * (A)kept - m / (sqrt(v) + (A)eps) * (A)lr);
    }
}

template <typename T> __global__ void adagrad(Tensors tensors, Common common, double lr, double eps) {
    typedef typename Acc<T>::type A;
    const Part<T> part(tensors, common);
    for (long long i = first_index(); i < part.size; i += index_step()) {
        const A g = part.gradient(i), s = (A)part.buffers[0][i] + g * g;
        part.buffers[0][i] = (T)s;
        part.p[i] = (T)((A)part.p[i] - g / (sqrt(s) + (A)eps) * (A)lr);
    }
}

// The buffers are square_avg, then grad_avg if centered, then momentum_buffer if there is momentum.
template <typename T>
__global__ void rmsprop(Tensors tensors, Common common, double lr, double alpha, double rest, double eps,
                        double momentum, int centered) {
    typedef typename Acc<T>::type A;
    const Part<T> part(tensors, common);
    T *squares = part.buffers[0], *means = part.buffers[1], *speeds = centered ? part.buffers[2] : part.buffers[1];
    for (long long i = first_index(); i < part.size; i += index_step()) {
        const A g = part.gradient(i);
        A v = (A)squares[i] * (A)alpha + g * g * (A)rest;
        squares[i] = (T)v;
        if (centered) {
            const A m = (A)means[i] * (A)alpha + g * (A)rest;
            means[i] = (T)m;
            v -= m * m;
        }
        A d = g / (sqrt(v) + (A)eps);
        if (momentum != 0) {
            d += (A)speeds[i] * (A)momentum;
            speeds[i] = (T)d;
        }
        part.p[i] = (T)((A)part.p[i] - d * (A)lr);
    }
}

// parts[tensor, block] = the sum of the squares that the block sees.
template <typename T> __global__ void sum_of_squares(Tensors tensors, typename Acc<T>::type* parts) {
    typedef typename Acc<T>::type A;
    const T* p = (const T*)tensors.p[blockIdx.y];
    A sum = 0;
    for (long long i = first_index(); i < tensors.size[blockIdx.y]; i += index_step()) sum += (A)p[i] * (A)p[i];
    sum = block_reduce(sum, Add());
    if (threadIdx.x == 0) parts[(long long)blockIdx.y * gridDim.x + blockIdx.x] = sum;
}

// parts[tensor, block] = the largest absolute value that the block sees.
template <typename T> __global__ void max_abs(Tensors tensors, typename Acc<T>::type* parts) {
    typedef typename Acc<T>::type A;
    const T* p = (const T*)tensors.p[blockIdx.y];
    A most = 0;
    for (long long i = first_index(); i < tensors.size[blockIdx.y]; i += index_step())
        most = Max()((A)fabs((A)p[i]), most);
    most = block_reduce(most, Max());
    if (threadIdx.x == 0) parts[(long long)blockIdx.y * gridDim.x + blockIdx.x] = most;
}

// p *= factor.
template <typename T> __global__ void scale(Tensors tensors, const typename Acc<T>::type* factor) {
    typedef typename Acc<T>::type A;
    T* p = (T*)tensors.p[blockIdx.y];
    for (long long i = first_index(); i < tensors.size[blockIdx.y]; i += index_step()) p[i] = (T)((A)p[i] * *factor);
}

// p *= factor, and found_inf = 1 where an element was inf or NaN. All who write found_inf write the same.
template <typename T>
__global__ void unscale(Tensors tensors, const typename Acc<T>::type* factor, float* found_inf) {
    typedef typename Acc<T>::type A;
    T* p = (T*)tensors.p[blockIdx.y];
    for (long long i = first_index(); i < tensors.size[blockIdx.y]; i += index_step()) {
        const A value = p[i];
        if (!(value - value == 0)) *found_inf = 1;  // inf - inf is NaN
        p[i] = (T)(value * *factor);
    }
}
