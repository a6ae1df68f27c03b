/* Locks on keys, and the search for circles of waits. Part of mobula_native.c.
 *
 * Waiters are served in order; readers in front of a writer go together. A call waits for the
 * holders of the lock it queues for, or for the calls it awaits. Who begins to wait looks whether
 * that leads back to itself; then one call of the circle that waits for a lock is told so and ends.
 */

static const char* mode_name(enum mode mode)
{
    return mode == MODE_READ ? "read" : mode == MODE_WRITE ? "write" : "global";
}

static struct key_lock* lock_of(struct key* key, enum mode mode)
{
    return mode == MODE_GLOBAL ? &key->global : &key->local;
}

static size_t reader_at(struct key_lock* lock, struct call* call)
{
    size_t at = 0;
    while (at < lock->count && lock->readers[at] != call) {
        at++;
    }
    return at;
}

static int try_lock(struct key_lock* lock, struct call* call, enum mode mode)
{
    if (lock->writer != NULL || (mode != MODE_READ && lock->count > 0)) {
        return 0;
    }
    if (mode != MODE_READ) {
        lock->writer = call;
        return 1;
    }
    if (lock->count == lock->room) {
        lock->room = lock->room > 0 ? 2 * lock->room : 4;
        lock->readers =
          (struct call**)grown(lock->readers, lock->room * sizeof *lock->readers);
    }
    lock->readers[lock->count++] = call;
    return 1;
}

/* Gives the lock to as many waiters as it allows, in order. */
static void grant(struct key_lock* lock)
{
    for (struct waiter* waiter = lock->queue; waiter != NULL; waiter = waiter->next) {
        if (waiter->state == WAIT_QUEUED) {
            if (!try_lock(lock, waiter->call, waiter->mode)) {
                return;
            }
            waiter->state = WAIT_GRANTED;
            pthread_cond_signal(&waiter->call->thread->woken);
        }
    }
}

static int release(struct key_lock* lock, struct call* call, enum mode mode)
{
    const size_t at = reader_at(lock, call);
    const int held = mode == MODE_READ ? at < lock->count : lock->writer == call;
    if (held && mode == MODE_READ) {
        lock->readers[at] = lock->readers[--lock->count];
    } else if (held) {
        lock->writer = NULL;
    }
    if (held) {
        grant(lock);
    }
    return held;
}

static struct waiter* circle_from(struct call* call, struct call* target, struct waiter* victim,
                                  int* found);

static struct waiter* circle_through(struct call* next, struct call* target,
                                     struct waiter* victim, int* found)
{
    if (next == target) {
        *found = 1;
        return victim;
    }
    if (next->seen == pool.search) {
        return NULL;
    }
    next->seen = pool.search;
    return circle_from(next, target, victim, found);
}

/* Follows who waits for whom; when that leads to `target`, the first wait for a lock on the way. */
static struct waiter* circle_from(struct call* call, struct call* target, struct waiter* victim,
                                  int* found)
{
    struct waiter* waits = call->waits;
    struct waiter* result = NULL;
    if (waits != NULL && waits->state == WAIT_QUEUED) {
        struct key_lock* lock = waits->lock;
        victim = victim != NULL ? victim : waits;
        if (lock->writer != NULL) {
            result = circle_through(lock->writer, target, victim, found);
        }
        for (size_t i = 0; i < lock->count && !*found; i++) {
            result = circle_through(lock->readers[i], target, victim, found);
        }
    } else if (waits == NULL) {
        for (size_t i = 0; i < call->await_count && !*found; i++) {
            if (call->awaits[i]->state == CALL_RUNNING) {
                result = circle_through(call->awaits[i], target, victim, found);
            }
        }
    }
    return *found ? result : NULL;
}

/* After `call` began to wait: fails a waiter if that closed a circle. */
static void break_circle(struct call* call)
{
    int found = 0;
    struct waiter* victim;
    if (pool.lock_waiters == 0) {
        return;
    }
    pool.search++;
    victim = circle_from(call, call, NULL, &found);
    if (victim != NULL) {
        victim->state = WAIT_DEADLOCKED;
        pthread_cond_signal(&victim->call->thread->woken);
    }
}

/* Queues for the lock and sleeps; tells how that ended. */
static enum wait_state wait_for(struct key_lock* lock, struct call* call, enum mode mode)
{
    struct waiter me = { call, lock, mode, WAIT_QUEUED, NULL };
    struct waiter** link = &lock->queue;
    while (*link != NULL) {
        link = &(*link)->next;
    }
    *link = &me;
    call->waits = &me;
    pool.lock_waiters++;
    break_circle(call);
    while (me.state == WAIT_QUEUED) {
        sleep_in_call();
    }
    for (link = &lock->queue; *link != &me; link = &(*link)->next) {
    }
    *link = me.next;
    call->waits = NULL;
    pool.lock_waiters--;
    grant(lock); /* a writer that left may have been all that kept readers waiting */
    return me.state;
}

static void note_held(struct call* call, struct key* key, enum mode mode)
{
    if (call->held_count == call->held_room) {
        call->held_room = call->held_room > 0 ? 2 * call->held_room : 4;
        call->held = (struct held*)grown(call->held, call->held_room * sizeof *call->held);
    }
    call->held[call->held_count].key = key;
    call->held[call->held_count++].mode = mode;
}

static void lock_key(const char* function, const char* text, enum mode mode)
{
    struct key* key = named_key(function, text);
    struct key_lock* lock = lock_of(key, mode);
    struct call* call = self();
    enum wait_state state = WAIT_GRANTED;
    const char* held = NULL;
    if (call->serial == 0) {
        refuse(function, "the proto-function cannot hold locks");
    }
    pthread_mutex_lock(&pool.mutex);
    if (lock->writer == call) {
        held = "write";
    } else if (mode != MODE_READ && reader_at(lock, call) < lock->count) {
        held = "read";
    } else if (lock->queue != NULL || !try_lock(lock, call, mode)) {
        state = wait_for(lock, call, mode);
    }
    pthread_mutex_unlock(&pool.mutex);
    if (held != NULL) {
        refuse(function,
               "this call already holds a %s lock on key \"%s\"; asking for %s would wait for "
               "itself",
               held, key->text, mode_name(mode));
    }
    if (state == WAIT_DEADLOCKED) {
        refuse(function,
               "deadlock: the %s lock on key \"%s\" is held by a call that waits for this one; "
               "release it before awaiting",
               mode_name(mode), key->text);
    }
    note_held(call, key, mode);
}

static void unlock_key(const char* function, const char* text, enum mode mode)
{
    struct key* key = named_key(function, text);
    struct call* call = self();
    int held;
    pthread_mutex_lock(&pool.mutex);
    held = release(lock_of(key, mode), call, mode);
    pthread_mutex_unlock(&pool.mutex);
    if (!held) {
        refuse(function, "this call holds no %s lock on key \"%s\"", mode_name(mode), key->text);
    }
    for (size_t i = 0; i < call->held_count; i++) {
        if (call->held[i].key == key && call->held[i].mode == mode) {
            call->held[i] = call->held[--call->held_count];
            return;
        }
    }
}

static void release_locks(struct call* call)
{
    pthread_mutex_lock(&pool.mutex);
    for (size_t i = 0; i < call->held_count; i++) {
        release(lock_of(call->held[i].key, call->held[i].mode), call, call->held[i].mode);
    }
    call->held_count = 0;
    pthread_mutex_unlock(&pool.mutex);
}
