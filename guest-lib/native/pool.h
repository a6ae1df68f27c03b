/* The queue, the threads, the ends of calls. Part of mobula_native.c.
 *
 *   chain ─▶ queue (oldest first) ─┬▶ worker takes the oldest: the largest part of a tree of calls
 *                                  └▶ its parent awaits it: runs it there and then, depth first
 *
 * So nobody ever waits for a call that waits in the queue, and the program ends whatever the number
 * of threads. `limit` threads run at a time; one that sleeps in an await or a lock lets another run
 * in its place, which is started if there are not too many.
 *
 * All of it is guarded by `pool.mutex`, the locks on keys and the waits for them too. */

enum { STACK_BYTES = 64 << 20 };

static struct {
    pthread_mutex_t mutex;
    pthread_cond_t work, drained;
    struct call *oldest, *newest;
    size_t live;   /* calls that have not ended */
    size_t exist;  /* calls that have not been freed; atomic */
    size_t queued;
    int limit;     /* threads that should run */
    int active;    /* threads that run: the main thread from the start */
    int idle, tokens, threads;
    int draining;
    size_t lock_waiters;
    uint64_t search, serial;
} pool = { PTHREAD_MUTEX_INITIALIZER,
           PTHREAD_COND_INITIALIZER,
           PTHREAD_COND_INITIALIZER,
           NULL,
           NULL,
           0,
           0,
           0,
           1,
           1,
           0,
           0,
           0,
           0,
           0,
           0,
           0 };

static void run_call(struct call* call);

static void set_up_thread(struct thread* thread, size_t room)
{
    pthread_cond_init(&thread->woken, NULL);
    thread->base = (char*)__builtin_frame_address(0);
    thread->room = room;
    this_thread = thread;
}

/* Whether this thread's stack has room for one more call on top. */
static int has_room(void)
{
    const char* here = (const char*)__builtin_frame_address(0);
    const size_t used =
      here < this_thread->base ? (size_t)(this_thread->base - here) : (size_t)0;
    return used < this_thread->room;
}

static void unqueue(struct call* call)
{
    *(call->before != NULL ? &call->before->after : &pool.oldest) = call->after;
    *(call->after != NULL ? &call->after->before : &pool.newest) = call->before;
    call->before = call->after = NULL;
    call->state = CALL_RUNNING;
    pool.queued--;
}

static void work(void)
{
    for (;;) {
        while (pool.oldest != NULL && pool.active <= pool.limit) {
            struct call* call = pool.oldest;
            unqueue(call);
            run_call(call);
        }
        pool.active--;
        pool.idle++;
        while (pool.tokens == 0) {
            pthread_cond_wait(&pool.work, &pool.mutex);
        }
        pool.tokens--; /* who gave it has counted this thread */
    }
}

/* Runs `first`, which may be NULL, then whatever there is. */
static void* worker(void* first)
{
    struct thread me;
    set_up_thread(&me, STACK_BYTES / 4 * 3);
    pthread_mutex_lock(&pool.mutex);
    if (first != NULL) {
        run_call((struct call*)first);
    }
    work();
    return NULL;
}

/* Starts a thread, which must have been counted; tells whether there is one now. */
static int start_thread(struct call* first)
{
    pthread_attr_t attr;
    pthread_t thread;
    int failed;
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attr, STACK_BYTES);
    failed = pthread_create(&thread, &attr, worker, first);
    pthread_attr_destroy(&attr);
    pool.threads += failed == 0;
    return failed == 0;
}

/* Lets one more thread run if there is work for it and room. */
static void wake_worker(void)
{
    if (pool.queued == 0 || pool.active >= pool.limit) {
        return;
    }
    pool.active++;
    if (pool.idle > 0) {
        pool.idle--;
        pool.tokens++;
        pthread_cond_signal(&pool.work);
    } else if (pool.threads >= 4 * pool.limit + 32 || !start_thread(NULL)) {
        pool.active--;
    }
}

/* Sleeps until this thread is woken; another may run meanwhile. */
static void sleep_in_call(void)
{
    pool.active--;
    wake_worker();
    pthread_cond_wait(&this_thread->woken, &pool.mutex);
    pool.active++;
}

static void free_call(struct call* call)
{
    free(call->output);
    free(call);
    __atomic_sub_fetch(&pool.exist, 1, __ATOMIC_RELAXED);
}

/* The queue gets a call that its parent may await. */
static void submit(const char* function, struct call* call, struct call* parent)
{
    int full;
    pthread_mutex_lock(&pool.mutex);
    full = __atomic_load_n(&pool.exist, __ATOMIC_RELAXED) >= CALLS;
    if (!full) {
        call->state = CALL_QUEUED;
        call->parent = parent;
        call->serial = ++pool.serial;
        call->before = pool.newest;
        *(pool.newest != NULL ? &pool.newest->after : &pool.oldest) = call;
        pool.newest = call;
        pool.queued++;
        pool.live++;
        __atomic_add_fetch(&pool.exist, 1, __ATOMIC_RELAXED);
        wake_worker();
    }
    pthread_mutex_unlock(&pool.mutex);
    if (full) {
        free(call->input);
        free(call);
        refuse(function, "%lu calls exist already; await some before chaining more", CALLS);
    }
}

static void release_locks(struct call* call);

/* Nobody will await what is left of the children. */
static void release_children(struct call* call)
{
    pthread_mutex_lock(&pool.mutex);
    for (size_t i = 0; i < call->child_count; i++) {
        struct child* child = &call->children[i];
        for (size_t j = 0; j < child->count && child->kind != CHILD_AWAITED; j++) {
            struct call* one = child->kind == CHILD_LOOP ? child->calls[j] : child->one;
            if (one->state == CALL_DONE) {
                free_call(one);
            } else {
                one->orphan = 1;
                one->parent = NULL;
            }
        }
        if (child->kind == CHILD_LOOP) {
            free(child->calls);
        }
    }
    pthread_mutex_unlock(&pool.mutex);
    call->child_count = call->open_children = 0;
}

/* Gives back what the call holds: locks, windows, children that it did not await. */
static void end_call(struct call* call)
{
    if (call->held_count > 0) {
        release_locks(call);
    }
    while (call->window_count > 0) {
        close_window(call, call->window_count - 1);
    }
    if (call->child_count > 0) {
        release_children(call);
    }
    free(call->children);
    free(call->windows);
    free(call->held);
    free(call->input);
    call->children = NULL;
    call->windows = NULL;
    call->held = NULL;
    call->input = NULL;
    call->child_room = call->window_room = call->held_room = 0;
    call->input_size = 0;
}

static void complete(struct call* call)
{
    call->state = CALL_DONE;
    pool.live--;
    if (call->orphan) {
        free_call(call);
    } else if (call->wanted) {
        pthread_cond_signal(&call->parent->thread->woken);
    }
    if (pool.live == 0 && pool.draining) {
        pthread_cond_signal(&pool.drained);
    }
}

/* The entry's return value, or the code with which the call was left. */
static int enter(struct call* call)
{
    jmp_buf start;
    call->escape = &start;
    if (setjmp(start) == 0) {
        call->code = call->main != NULL ? call->main(program.argc, program.argv)
                                        : call->function();
    }
    running->escape = NULL;
    return running->code;
}

/* Runs a call to its end on this thread, on top of the one that awaits it. The mutex is held before
 * and after, not meanwhile. */
static void run_call(struct call* call)
{
    struct call* const below = running;
    pthread_mutex_unlock(&pool.mutex);
    call->thread = this_thread;
    running = call;
    enter(call);
    end_call(call);
    running = below;
    pthread_mutex_lock(&pool.mutex);
    complete(call);
}

/* Runs what is left in the queue and waits for the calls of other threads. */
static void drain(void)
{
    pthread_mutex_lock(&pool.mutex);
    pool.draining = 1;
    while (pool.live > 0) {
        struct call* call = pool.oldest;
        if (call != NULL) {
            unqueue(call);
            run_call(call);
        } else {
            pool.active--;
            pthread_cond_wait(&pool.drained, &pool.mutex);
            pool.active++;
        }
    }
    pthread_mutex_unlock(&pool.mutex);
}
