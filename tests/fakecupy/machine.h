// A machine for one block at a time: its threads are fibers, which run until they wait for each other or return.
// Blocks, and the threads between two waits, run in an order drawn from a seed: what depends on it is a race.
#pragma once
#include <link.h>
#include <setjmp.h>
#include <signal.h>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#if !defined(__x86_64__) || defined(EMULATOR_UCONTEXT)
#define EMULATOR_UCONTEXT
#include <ucontext.h>
#endif

struct uint3 {
    unsigned x, y, z;
};
struct dim3 {
    unsigned x, y, z;
    dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};
static uint3 threadIdx, blockIdx;
static dim3 blockDim, gridDim;

#ifndef EMULATOR_UCONTEXT
// Saves the callee-saved registers on the stack, exchanges the stack, and takes those that lie there: 2 ns, where
// swapcontext makes a system call.
extern "C" void emulator_switch(void** from, void* to);
asm(R"(
.text
.type emulator_switch, @function
emulator_switch:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
.size emulator_switch, .-emulator_switch
)");
#endif

namespace emulator {

enum State { READY, AT_BARRIER, AT_WARP, RETURNED };

struct Thread {
#ifdef EMULATOR_UCONTEXT
    ucontext_t context;
#else
    void* stack;
#endif
    uint3 index;
    State state;
    int line;               // of the source, where it waits
    const char* operation;  // of a warp: its name, the lanes that take part, what this one gives and whose it wants
    unsigned mask, ballot;
    int source;
    uint64_t given, got;
};

struct Launch {
    void (*kernel)(void**);
    void** args;
    unsigned grid[3], block[3];
    size_t shared;
    uint64_t seed;
    char* stacks;
    size_t stack_bytes, guard_bytes;  // of each thread; a stack grows down to its guard, which nobody may touch
    char message[512];  // what went wrong
};

static Launch* now;
static Thread *threads, *current;
static unsigned count;
static sigjmp_buf rescue;
static bool in_block;
#ifdef EMULATOR_UCONTEXT
static ucontext_t scheduler;
#else
static void* scheduler;
#endif
static const size_t DYNAMIC_SHARED_ZONE = 4096;
static char* dynamic_shared;
// __shared__ variables are thread-local statics, so that the linker collects them, and the shim finds them, in one
// place: the library's thread-local segment. It is never empty, thanks to this.
static thread_local volatile char shared_anchor;

[[noreturn]] __attribute__((noinline, format(printf, 1, 2))) static void fail(const char* format, ...) {
    char* out = now->message;
    size_t room = sizeof now->message;
    if (in_block) {
        int n = snprintf(out, room, "block (%u, %u, %u)", blockIdx.x, blockIdx.y, blockIdx.z);
        out += n, room -= n;
        if (current) {
            n = snprintf(out, room, ", thread (%u, %u, %u)", threadIdx.x, threadIdx.y, threadIdx.z);
            out += n, room -= n;
        }
        n = snprintf(out, room, ": ");
        out += n, room -= n;
    }
    va_list args;
    va_start(args, format);
    vsnprintf(out, room, format, args);
    va_end(args);
    siglongjmp(rescue, 1);
}

static uint64_t random_bits() {  // splitmix64; Source: Steele, Lea, Flood, OOPSLA 2014
    uint64_t z = now->seed += 0x9e3779b97f4a7c15ull;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return z ^ z >> 31;
}

// ---- fibers

__attribute__((noipa, noinline)) static void wait(State state) {
    current->state = state;
#ifdef EMULATOR_UCONTEXT
    swapcontext(&current->context, &scheduler);
#else
    emulator_switch(&current->stack, scheduler);
#endif
}

static void body() {
    now->kernel(now->args);
    wait(RETURNED);
    abort();  // nobody resumes it
}

static void prepare(Thread& thread, unsigned i) {
    char* low = now->stacks + i * now->stack_bytes;
    thread.state = READY;
#ifdef EMULATOR_UCONTEXT
    getcontext(&thread.context);
    thread.context.uc_stack.ss_sp = low + now->guard_bytes;
    thread.context.uc_stack.ss_size = now->stack_bytes - now->guard_bytes;
    thread.context.uc_link = nullptr;
    makecontext(&thread.context, body, 0);
#else
    void** top = reinterpret_cast<void**>(low + now->stack_bytes);
    top[-2] = reinterpret_cast<void*>(body);  // where the switch returns to; the stack is then as after a call
    thread.stack = top - 8;
#endif
}

static void resume(Thread& thread) {
    current = &thread;
    threadIdx = thread.index;
#ifdef EMULATOR_UCONTEXT
    swapcontext(&scheduler, &thread.context);
#else
    emulator_switch(&scheduler, thread.stack);
#endif
    current = nullptr;
}

// ---- what threads wait for

static void barrier(int line) {
    current->line = line;
    wait(AT_BARRIER);
}

// Each lane gives a value and gets that of lane `source`, and a bit for each lane that gave something else than 0.
static Thread& exchange(const char* operation, int line, unsigned mask, uint64_t given, int source) {
    Thread& me = *current;
    unsigned lane = (current - threads) & 31;
    if (!(mask >> lane & 1))
        fail("line %d: %s: the mask 0x%08x lacks the lane %u that calls", line, operation, mask, lane);
    me.operation = operation;
    me.line = line;
    me.mask = mask;
    me.given = given;
    me.source = source;
    wait(AT_WARP);
    return me;
}

static const char* whereabouts(const Thread& thread) {
    static char text[160];
    if (thread.state == RETURNED) return "has returned";
    snprintf(text, sizeof text, "waits at line %d in %s", thread.line,
             thread.state == AT_BARRIER ? "__syncthreads" : thread.operation);
    return text;
}

// Serves the warp operation that `first` waits in, if all lanes that it names have come. If not, and all is at a halt,
// that is an error.
static bool serve(Thread* warp, unsigned lanes, const Thread& first, bool halt) {
    const unsigned mask = first.mask;
    unsigned ballot = 0;
    for (unsigned lane = 0; lane < 32; lane++) {
        if (!(mask >> lane & 1)) continue;
        if (lane >= lanes)
            fail("line %d: %s: the mask 0x%08x names lane %u, but the warp has %u", first.line, first.operation, mask,
                 lane, lanes);
        Thread& other = warp[lane];
        bool here = other.state == AT_WARP && other.mask == mask && other.line == first.line &&
                    !strcmp(other.operation, first.operation);
        if (!here && halt)
            fail("line %d: %s: the mask 0x%08x names lane %u, which %s", first.line, first.operation, mask, lane,
                 whereabouts(other));
        if (!here) return false;
        ballot |= unsigned(other.given != 0) << lane;
    }
    for (unsigned lane = 0; lane < lanes; lane++) {
        if (!(mask >> lane & 1)) continue;
        Thread& me = warp[lane];
        bool known = unsigned(me.source) < 32 && (mask >> me.source & 1);
        me.got = known ? warp[me.source].given : ~uint64_t(0);  // CUDA leaves it undefined
        me.ballot = ballot;
        me.state = READY;
    }
    return true;
}

static bool serve_warps(bool halt) {
    bool any = false;
    for (unsigned start = 0; start < count; start += 32) {
        unsigned lanes = count - start < 32 ? count - start : 32;
        for (unsigned lane = 0; lane < lanes; lane++)
            if (threads[start + lane].state == AT_WARP)
                any |= serve(threads + start, lanes, threads[start + lane], halt);
    }
    return any;
}

static void open_barrier() {
    for (unsigned i = 1; i < count; i++)
        if (threads[i].state != threads[0].state || threads[i].line != threads[0].line) {
            bool mine = threads[0].state == AT_BARRIER;
            const Thread &here = threads[mine ? 0 : i], &there = threads[mine ? i : 0];
            fail("line %d: thread (%u, %u, %u) waits in __syncthreads, but thread (%u, %u, %u) %s", here.line,
                 here.index.x, here.index.y, here.index.z, there.index.x, there.index.y, there.index.z,
                 whereabouts(there));
        }
    for (unsigned i = 0; i < count; i++) threads[i].state = READY;
}

// ---- blocks

static int poison_segment(dl_phdr_info* info, size_t, void*) {
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const auto& part = info->dlpi_phdr[i];
        char* start = static_cast<char*>(info->dlpi_tls_data);
        char* anchor = const_cast<char*>(&shared_anchor);
        if (part.p_type == PT_TLS && start && start <= anchor && anchor < start + part.p_memsz) {
            memset(start, 0xff, part.p_memsz);  // NaN, and -1
            return 1;
        }
    }
    return 0;
}

static void run_block(unsigned* order) {
    shared_anchor = 0;
    if (!dl_iterate_phdr(poison_segment, nullptr)) fail("the shim does not find the kernel's shared memory");
    memset(dynamic_shared, 0xff, now->shared + DYNAMIC_SHARED_ZONE);
    for (unsigned i = 0; i < count; i++) prepare(threads[i], i);
    for (;;) {
        unsigned ready = 0, returned = 0;
        for (unsigned i = 0; i < count; i++) {
            if (threads[i].state == READY) order[ready++] = i;
            returned += threads[i].state == RETURNED;
        }
        if (returned == count) break;
        if (!ready) {
            if (!serve_warps(false) && !serve_warps(true)) open_barrier();
            continue;
        }
        for (unsigned i = ready; i > 0; i--) {  // Fisher and Yates, each as it is drawn
            unsigned j = random_bits() % i, drawn = order[j];
            order[j] = order[i - 1];
            resume(threads[drawn]);
        }
    }
    for (size_t i = 0; i < DYNAMIC_SHARED_ZONE; i++)
        if (dynamic_shared[now->shared + i] != char(0xff))
            fail("wrote behind its dynamic shared memory, of which the launch asked for %zu bytes", now->shared);
}

static uint64_t common_divisor(uint64_t a, uint64_t b) { return b ? common_divisor(b, a % b) : a; }

static void run_grid() {
    const unsigned *grid = now->grid, *block = now->block;
    gridDim = dim3(grid[0], grid[1], grid[2]);
    blockDim = dim3(block[0], block[1], block[2]);
    unsigned* order = reinterpret_cast<unsigned*>(threads + count);
    for (unsigned i = 0; i < count; i++)
        threads[i].index = {i % block[0], i / block[0] % block[1], i / block[0] / block[1]};
    uint64_t blocks = uint64_t(grid[0]) * grid[1] * grid[2];
    uint64_t next = random_bits() % blocks, stride = random_bits() % blocks + 1;
    while (common_divisor(stride, blocks) != 1) stride++;  // so that steps of it meet every block, without a list
    in_block = true;
    for (uint64_t i = 0; i < blocks; i++, next = (next + stride) % blocks) {
        blockIdx = {unsigned(next % grid[0]), unsigned(next / grid[0] % grid[1]), unsigned(next / grid[0] / grid[1])};
        run_block(order);
    }
    in_block = false;
}

// ---- signals, which become messages

static void on_signal(int number, siginfo_t* info, void*) {
    size_t at = static_cast<char*>(info->si_addr) - now->stacks;
    if (number == SIGSEGV && at < count * now->stack_bytes && at % now->stack_bytes < now->guard_bytes)
        fail("a thread's local variables take more than the emulator's stack of %zu bytes", now->stack_bytes);
    if (number == SIGSEGV || number == SIGBUS)
        fail("touched memory that it was not given, at address %p", info->si_addr);
    if (number == SIGFPE) fail("divided an integer by zero");
    fail("trapped: an index outside of a local or shared array, or __trap()");
}

static const int SIGNALS[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP};

// Runs `work`; returns 0, or 1 with the launch's message set.
template <typename Work>
static int guarded(Launch& launch, Work work) {
    now = &launch;
    static char own_stack[1 << 16];
    struct sigaction mine = {}, before[5];
    stack_t ours = {}, theirs;
    ours.ss_sp = own_stack;
    ours.ss_size = sizeof own_stack;
    sigaltstack(&ours, &theirs);
    mine.sa_sigaction = on_signal;
    mine.sa_flags = SA_SIGINFO | SA_ONSTACK;
    for (int i = 0; i < 5; i++) sigaction(SIGNALS[i], &mine, &before[i]);
    volatile int failed = 0;
    in_block = false;
    current = nullptr;
    if (sigsetjmp(rescue, 1) == 0)
        work();
    else
        failed = 1;
    in_block = false;
    for (int i = 0; i < 5; i++) sigaction(SIGNALS[i], &before[i], nullptr);
    sigaltstack(&theirs, nullptr);
    return failed;
}

static int launch(Launch& what) {
    count = what.block[0] * what.block[1] * what.block[2];
    threads = static_cast<Thread*>(calloc(count, sizeof(Thread) + sizeof(unsigned)));
    dynamic_shared = static_cast<char*>(aligned_alloc(128, (what.shared + DYNAMIC_SHARED_ZONE + 127) / 128 * 128));
    int failed = guarded(what, run_grid);
    free(threads);
    free(dynamic_shared);
    return failed;
}

}  // namespace emulator
