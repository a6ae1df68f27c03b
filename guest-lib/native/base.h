/* Types, the running call, refusals. Part of mobula_native.c. */

enum { KEY_BYTES = 255, RESULT_TRAP = -101, EXIT_SETUP = 100, EXIT_TRAP = 101, EXIT_WIDE = 255 };
#define PAYLOAD_BYTES (1L << 30)
#define CALLS (1UL << 22)

typedef int (*entry_function)(void);
typedef int (*main_function)(int, char**);

struct entry {
    int idx;
    entry_function function;
    struct entry* next;
};

/* The executable or a shared object. Made once, never freed; guarded by `modules.mutex`. */
struct module {
    const void* id;
    char* name;
    struct entry* entries;
    main_function main;
    entry_function zygote;
    int ready; /* its proto-function has run */
    struct module* next;
};

/* A named array of bytes; counts are guarded by `keys.mutex`. A resize makes another value. */
struct value {
    struct key* key;
    uint8_t* bytes;
    long len;
    long mapped;
    long refs;
    long open; /* windows of running calls */
};

enum mode { MODE_READ, MODE_WRITE, MODE_GLOBAL };
enum wait_state { WAIT_QUEUED, WAIT_GRANTED, WAIT_DEADLOCKED };

/* A call in the queue of a lock; lives on the waiting thread's stack. */
struct waiter {
    struct call* call;
    struct key_lock* lock;
    enum mode mode;
    enum wait_state state;
    struct waiter* next;
};

/* Guarded by `pool.mutex`, as are the waits for it. */
struct key_lock {
    struct call* writer;
    struct call** readers;
    size_t count, room;
    struct waiter* queue;
};

struct records {
    uint8_t* bytes;
    size_t* ends;
    size_t count, room, bytes_room;
};

/* Whatever belongs to one key of one user. Made once, never freed. */
struct key {
    char* name; /* USER/KEY; the key begins behind the first / */
    const char* text;
    struct value* value;
    struct records records;
    struct key_lock local, global;
    struct key* next;
};

struct window {
    struct value* value;
    uint8_t* start;
    long len;
};

struct held {
    struct key* key;
    enum mode mode;
};

enum child_kind { CHILD_CALL, CHILD_LOOP, CHILD_OUTPUT, CHILD_AWAITED };

/* One id that a call was given: a call, or the calls of a parallel loop. */
struct child {
    enum child_kind kind;
    struct call** calls;
    size_t count;
    struct call* one;
};

/* A thread that runs calls, one upon the other where they await. */
struct thread {
    pthread_cond_t woken;
    char* base;
    size_t room; /* stack that nested calls may use */
};

enum call_state { CALL_QUEUED, CALL_RUNNING, CALL_DONE };

struct call {
    struct module* module;
    int idx;
    int by_pointer;
    entry_function function;
    main_function main;
    uint8_t *input, *output;
    long input_size, output_size;
    int has_range;
    int64_t lo, hi;
    int code;
    int refused;
    uint64_t serial;

    /* The running call's own; nobody else looks. */
    jmp_buf* escape;
    struct child* children;
    size_t child_count, child_room, open_children;
    uint32_t first_id;
    struct window* windows;
    size_t window_count, window_room;
    struct held* held;
    size_t held_count, held_room;

    /* Guarded by `pool.mutex`. */
    enum call_state state;
    int orphan, wanted;
    struct call *parent, *before, *after;
    struct thread* thread;
    struct call* const* awaits;
    size_t await_count;
    struct waiter* waits;
    uint64_t seen;
};

/* Where the program stands; written by the main thread before there are others. */
static struct {
    const char* user;
    const char* conf;
    int argc;
    char** argv;
    int begun, ended;
    struct thread thread;
    struct call main; /* the main call */
} program;

static __thread struct call* running;
static __thread struct thread* this_thread;

static void begin(void);

/* Memory for our own books: without it nothing can go on. */
static void* grown(void* old, size_t bytes)
{
    void* fresh = realloc(old, bytes);
    if (fresh == NULL && bytes > 0) {
        fputs("mobula: error: out of memory\n", stderr);
        _exit(EXIT_SETUP);
    }
    return fresh;
}

static void* zeroed(size_t bytes)
{
    return memset(grown(NULL, bytes), 0, bytes);
}

static char* copied(const char* text)
{
    return (char*)memcpy(grown(NULL, strlen(text) + 1), text, strlen(text) + 1);
}

/* Ends the program before its first call, or when it cannot be ended as asked. */
__attribute__((noreturn, format(printf, 1, 2))) static void fail(const char* format, ...)
{
    va_list args;
    va_start(args, format);
    fflush(stdout);
    flockfile(stderr);
    fputs("mobula: error: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    funlockfile(stderr);
    va_end(args);
    _exit(EXIT_SETUP);
}

/* The call that asks. Constructors and main ask as the main call, before it and in it. */
static struct call* self(void)
{
    begin();
    if (running != NULL) {
        return running;
    }
    if (getpid() != gettid()) {
        fail("a thread that runs no call asked something of the host; ask in the call itself");
    }
    return running = &program.main;
}

static const char* readable(const char* function)
{
    return function + strspn(function, "_");
}

/* Jumps to the start of the call, whose result is `code`. */
__attribute__((noreturn)) static void leave(struct call* call, int code)
{
    call->code = code;
    if (call->escape != NULL) {
        longjmp(*call->escape, 1);
    }
    exit(code == RESULT_TRAP ? EXIT_TRAP : code); /* a plain main */
}

/* Ends the call that asked for something it cannot have, with the reason on stderr. No mutex may be
 * held here. */
__attribute__((noreturn, format(printf, 2, 3))) static void refuse(const char* function,
                                                                  const char* format, ...)
{
    struct call* call = self();
    va_list args;
    va_start(args, format);
    flockfile(stderr);
    fprintf(stderr, "mobula: call %s/%s[", program.user, call->module->name);
    if (call->by_pointer) {
        fprintf(stderr, "function %p", (void*)(uintptr_t)call->function);
    } else {
        fprintf(stderr, "%d", call->idx);
    }
    fprintf(stderr, "] trapped: %s: ", readable(function));
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    funlockfile(stderr);
    va_end(args);
    call->refused = 1;
    leave(call, RESULT_TRAP);
}

static long length(const char* function, long len, const char* what)
{
    if (len < 0) {
        refuse(function, "%s is negative: %ld", what, len);
    }
    return len;
}
