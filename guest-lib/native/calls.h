/* Children and their ids, awaiting. Part of mobula_native.c.
 *
 * A guest sees an index into its call's own list plus a base that differs from call to call, so
 * that a guessed, foreign or used id reaches nobody. */

static uint32_t next_id(struct call* call)
{
    return call->first_id + (uint32_t)call->child_count;
}

static struct child* push_child(struct call* call)
{
    if (call->child_count == call->child_room) {
        call->child_room = call->child_room > 0 ? 2 * call->child_room : 8;
        call->children =
          (struct child*)grown(call->children, call->child_room * sizeof *call->children);
    }
    return (struct child*)memset(&call->children[call->child_count++], 0, sizeof(struct child));
}

/* A new child and its id, which is never 0. */
static struct child* add_child(struct call* call, uint32_t* id)
{
    struct child* child;
    if (call->child_count == 0 && call->first_id == 0) {
        call->first_id = (uint32_t)((call->serial * 0x9E3779B97F4A7C15u) >> 32);
    }
    if (call->open_children == 0 && call->child_count >= 1 << 16) {
        /* All are awaited: the list starts anew, so that a loop needs no memory. */
        call->first_id = next_id(call);
        call->child_count = 0;
    }
    if (next_id(call) == 0) {
        push_child(call)->kind = CHILD_AWAITED;
    }
    *id = next_id(call);
    child = push_child(call);
    call->open_children++;
    return child;
}

static struct child* child_of(const char* function, struct call* call, uint32_t id)
{
    const uint32_t at = id - call->first_id;
    if (at >= call->child_count) {
        refuse(function,
               "call id %u was not given to this call (only the call that chained it can await it)",
               id);
    }
    return &call->children[at];
}

/* A child that was not awaited yet; with `one` it has to be a single call. */
static struct child* open_child(const char* function, struct call* call, uint32_t id, int one)
{
    struct child* child = child_of(function, call, id);
    if (child->kind == CHILD_OUTPUT || child->kind == CHILD_AWAITED) {
        refuse(function, "call id %u was awaited before; an id can be awaited once", id);
    }
    if (one && child->kind == CHILD_LOOP) {
        refuse(function,
               "id %u is a parallel loop, whose calls have no output; use faasmAwaitCall", id);
    }
    return child;
}

static struct call* const* calls_of(struct child* child)
{
    return child->kind == CHILD_LOOP ? child->calls : &child->one;
}

/* Runs a queued call here, or on a thread of its own where the stack has no room. */
static void run_child(struct call* child)
{
    unqueue(child);
    if (!has_room()) {
        pool.active++;
        if (start_thread(child)) {
            return;
        }
        pool.active--;
    }
    run_call(child);
}

static size_t count_done(struct call* const* calls, size_t count)
{
    size_t done = 0;
    for (size_t i = 0; i < count; i++) {
        done += calls[i]->state == CALL_DONE;
    }
    return done;
}

static struct call* first_queued(struct call* const* calls, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (calls[i]->state == CALL_QUEUED) {
            return calls[i];
        }
    }
    return NULL;
}

/* Waits, with `pool.mutex` held, until these have ended. */
static void await_all(struct call* me, struct call* const* calls, size_t count)
{
    size_t at = 0;
    me->awaits = calls;
    me->await_count = count;
    for (;;) {
        struct call* queued;
        while (at < count && calls[at]->state == CALL_DONE) {
            at++;
        }
        if (at == count) {
            break;
        }
        queued = first_queued(calls + at, count - at);
        if (queued != NULL) {
            run_child(queued);
            continue;
        }
        calls[at]->wanted = 1;
        break_circle(me);
        sleep_in_call();
    }
    me->await_count = 0;
}

/* What awaiting the child gives: the first result that is not 0. */
static int result_of(struct child* child)
{
    const size_t count = child->count;
    struct call* const* calls = calls_of(child);
    for (size_t i = 0; i < count; i++) {
        if (calls[i]->code != 0) {
            return calls[i]->code;
        }
    }
    return 0;
}

/* The child is done with: its calls are freed, its id is used up. */
static void close_child(struct call* me, struct child* child)
{
    for (size_t i = 0; i < child->count; i++) {
        free_call(calls_of(child)[i]);
    }
    if (child->kind == CHILD_LOOP) {
        free(child->calls);
    }
    child->kind = CHILD_AWAITED;
    me->open_children--;
}

static struct child* await_child(const char* function, uint32_t id, int one)
{
    struct call* me = self();
    struct child* child = open_child(function, me, id, one);
    pthread_mutex_lock(&pool.mutex);
    await_all(me, calls_of(child), child->count);
    pthread_mutex_unlock(&pool.mutex);
    return child;
}

/* Copies the output of an ended call. */
static long copy_output(struct child* child, uint8_t* buffer, long len)
{
    const struct call* call = child->one;
    const long n = call->output_size < len ? call->output_size : len;
    if (n > 0) {
        memcpy(buffer, call->output, (size_t)n);
    }
    return n;
}

/* One step of waiting for any of the children: the index of one that has ended, or -1. */
static long await_step(struct call* me, struct child** children, long n)
{
    struct call* queued = NULL;
    int elsewhere = 0;
    for (long i = 0; i < n; i++) {
        struct child* child = children[i];
        const size_t done = count_done(calls_of(child), child->count);
        struct call* waiting = first_queued(calls_of(child), child->count);
        if (done == child->count) {
            return i;
        }
        elsewhere |= waiting == NULL;
        queued = queued != NULL ? queued : waiting;
        for (size_t j = 0; j < child->count; j++) {
            calls_of(child)[j]->wanted = 1;
        }
    }
    if (queued != NULL && !elsewhere) {
        me->awaits = &queued;
        me->await_count = 1;
        run_child(queued);
    } else {
        if (n == 1) {
            me->awaits = calls_of(children[0]);
            me->await_count = children[0]->count;
            break_circle(me);
        }
        sleep_in_call();
    }
    me->await_count = 0;
    return -1;
}

static uint32_t await_any(const char* function, const unsigned int* ids, long n)
{
    struct call* me = self();
    struct child** children;
    uint32_t* named;
    long count = 0, first = -1;
    length(function, n, "the number of ids");
    for (long i = 0; i < n; i++) {
        if (ids[i] != 0) {
            open_child(function, me, ids[i], 0);
            count++;
        }
    }
    if (count == 0) {
        refuse(function, "none of the %ld ids is other than 0: there is no call to wait for", n);
    }
    children = (struct child**)grown(NULL, (size_t)count * sizeof *children);
    named = (uint32_t*)grown(NULL, (size_t)count * sizeof *named);
    count = 0;
    for (long i = 0; i < n; i++) {
        if (ids[i] != 0) {
            named[count] = ids[i];
            children[count++] = open_child(function, me, ids[i], 0);
        }
    }
    pthread_mutex_lock(&pool.mutex);
    while (first < 0) {
        first = await_step(me, children, count);
    }
    pthread_mutex_unlock(&pool.mutex);
    n = named[first];
    free(children);
    free(named);
    return (uint32_t)n;
}

/* Payloads are copied; their size is bounded. */
static long payload(const char* function, long len, const char* what)
{
    length(function, len, what);
    if (len > PAYLOAD_BYTES) {
        refuse(function, "%s is %ld bytes; at most %ld are possible", what, len, PAYLOAD_BYTES);
    }
    return len;
}

static struct call* fresh_call(const uint8_t* input, long len)
{
    struct call* call = (struct call*)zeroed(sizeof *call);
    if (len > 0) {
        call->input = (uint8_t*)memcpy(grown(NULL, (size_t)len), input, (size_t)len);
        call->input_size = len;
    }
    return call;
}

static struct call* chaining(const char* function)
{
    struct call* me = self();
    if (me->serial == 0) {
        refuse(function, "constructors and the proto-function cannot chain calls");
    }
    return me;
}

static uint32_t start_call(const char* function, struct call* me, struct call* call)
{
    uint32_t id;
    struct child* child;
    submit(function, call, me);
    child = add_child(me, &id);
    child->kind = CHILD_CALL;
    child->one = call;
    child->count = 1;
    return id;
}

/* Calls for parts of lo..hi of nearly the same size, a few for each thread. */
static uint32_t start_loop(const char* function, int idx, const int64_t range[3],
                           const uint8_t* input, long len)
{
    struct call* me = chaining(function);
    __extension__ const __int128 lo = range[0], all = range[1] - lo;
    const int64_t grain = range[2];
    int64_t parts;
    uint32_t id;
    struct child* child;
    payload(function, len, "the input");
    if (all < 0 || grain < 1) {
        refuse(function,
               "the range %lld..%lld with grain %lld is none; it wants lo <= hi and grain >= 1",
               (long long)range[0], (long long)range[1], (long long)grain);
    }
    parts = all / grain < 4 * pool.limit ? (int64_t)(all / grain) : 4 * pool.limit;
    parts = parts < 1 && all > 0 ? 1 : parts;
    child = add_child(me, &id);
    child->kind = CHILD_LOOP;
    child->calls = (struct call**)grown(NULL, ((size_t)parts + 1) * sizeof *child->calls);
    for (int64_t i = 0; i < parts; i++) {
        struct call* call = fresh_call(input, len);
        call->has_range = 1;
        call->lo = (int64_t)(lo + all * i / parts);
        call->hi = (int64_t)(lo + all * (i + 1) / parts);
        set_entry(function, call, me->module, idx);
        submit(function, call, me);
        child->calls[child->count++] = call;
    }
    return id;
}
