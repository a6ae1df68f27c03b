/* Keys, values, appended records. Part of mobula_native.c.
 *
 * Values are found and counted under `keys.mutex`; their bytes are copied outside it, as windows
 * are stored to: who shares bytes between calls that run at once uses locks or atomics. */

enum { BUCKETS = 4096 };

static struct {
    pthread_mutex_t mutex;
    struct key* buckets[BUCKETS];
} keys = { PTHREAD_MUTEX_INITIALIZER, { NULL } };

static uint8_t no_bytes[64];

/* The key of that user's; made at the first use. */
static struct key* key_of(const char* user, const char* text)
{
    char name[2 * KEY_BYTES + 2];
    uint32_t hash = 2166136261u;
    struct key* found;
    snprintf(name, sizeof name, "%.*s/%s", KEY_BYTES, user, text);
    for (const char* at = name; *at != '\0'; at++) {
        hash = (hash ^ (uint8_t)*at) * 16777619u;
    }
    pthread_mutex_lock(&keys.mutex);
    found = keys.buckets[hash % BUCKETS];
    while (found != NULL && strcmp(found->name, name) != 0) {
        found = found->next;
    }
    if (found == NULL) {
        found = (struct key*)zeroed(sizeof *found);
        found->name = copied(name);
        found->text = found->name + strcspn(found->name, "/") + 1;
        found->next = keys.buckets[hash % BUCKETS];
        keys.buckets[hash % BUCKETS] = found;
    }
    pthread_mutex_unlock(&keys.mutex);
    return found;
}

/* A key that a guest names. */
static struct key* named_key(const char* function, const char* text)
{
    const size_t len = text == NULL ? 0 : strnlen(text, KEY_BYTES + 1);
    if (len > KEY_BYTES) {
        refuse(function, "a key has 1 to %d bytes; this one has no end there", KEY_BYTES);
    }
    if (len == 0) {
        refuse(function, "a key has 1 to %d bytes and no NUL; this one has 0 bytes", KEY_BYTES);
    }
    begin();
    return key_of(program.user, text);
}

static struct value* fresh_value(struct key* key, long len)
{
    struct value* value = (struct value*)zeroed(sizeof *value);
    value->key = key;
    value->len = len;
    value->refs = 1; /* the key's */
    value->bytes = no_bytes;
    if (len > 0) {
        const size_t mapped = ((size_t)len + 0xFFFF) & ~(size_t)0xFFFF;
        const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
        void* bytes = mmap(NULL, mapped, PROT_READ | PROT_WRITE, flags, -1, 0);
        if (bytes == MAP_FAILED) {
            free(value);
            return NULL;
        }
        value->bytes = (uint8_t*)bytes;
        value->mapped = (long)mapped;
    }
    return value;
}

static struct value* shared(struct value* value)
{
    value->refs++;
    return value;
}

static void drop_locked(struct value* value)
{
    if (--value->refs > 0) {
        return;
    }
    if (value->mapped > 0) {
        munmap(value->bytes, (size_t)value->mapped);
    }
    free(value);
}

/* Every value that a function below returns is given back by this. */
static void drop(struct value* value)
{
    pthread_mutex_lock(&keys.mutex);
    drop_locked(value);
    pthread_mutex_unlock(&keys.mutex);
}

/* The value, or NULL when there is none. */
static struct value* get_value(struct key* key)
{
    struct value* value;
    pthread_mutex_lock(&keys.mutex);
    value = key->value != NULL ? shared(key->value) : NULL;
    pthread_mutex_unlock(&keys.mutex);
    return value;
}

static struct value* known_value(const char* function, struct key* key)
{
    struct value* value = get_value(key);
    if (value == NULL) {
        refuse(function, "key \"%s\" has no value yet; write it, or name its total length, first",
               key->text);
    }
    return value;
}

__attribute__((noreturn)) static void no_memory(const char* function, struct key* key, long len)
{
    refuse(function, "key \"%s\": no memory for %ld bytes: %s", key->text, len, strerror(errno));
}

/* The value with that length; made of zeros if there is none. */
static struct value* sized_value(const char* function, struct key* key, long len)
{
    struct value* value;
    long known;
    length(function, len, "the total length");
    pthread_mutex_lock(&keys.mutex);
    if (key->value == NULL) {
        key->value = fresh_value(key, len);
    }
    value = key->value != NULL ? shared(key->value) : NULL;
    pthread_mutex_unlock(&keys.mutex);
    if (value == NULL) {
        no_memory(function, key, len);
    }
    known = value->len;
    if (known != len) {
        drop(value);
        refuse(function,
               "key \"%s\" has %ld bytes, not %ld; the first use of a key fixes its length",
               key->text, known, len);
    }
    return value;
}

/* The value with that length for writing it whole: made or, without windows, made anew. */
static struct value* whole_value(const char* function, struct key* key, long len)
{
    struct value *value, *fresh = NULL;
    long open = 0, known;
    pthread_mutex_lock(&keys.mutex);
    value = key->value;
    known = value != NULL ? value->len : -1;
    if (known != len) {
        open = value != NULL ? value->open : 0;
        fresh = open > 0 ? NULL : fresh_value(key, len);
        if (fresh != NULL) {
            if (value != NULL) {
                drop_locked(value);
            }
            key->value = value = fresh;
        }
    }
    if (known == len || fresh != NULL) {
        shared(value);
    }
    pthread_mutex_unlock(&keys.mutex);
    if (open > 0) {
        refuse(function, "key \"%s\" cannot go from %ld to %ld bytes while a window is open on it",
               key->text, known, len);
    }
    if (known != len && fresh == NULL) {
        no_memory(function, key, len);
    }
    return value;
}

/* Refuses a range outside of the value, which is given back in that case. */
static void check_range(const char* function, struct value* value, long offset, long len)
{
    const long total = value->len;
    const char* text = value->key->text;
    if (offset < 0 || len < 0 || offset > total || len > total - offset) {
        drop(value);
        refuse(function, "key \"%s\" has %ld bytes; offset %ld and length %ld lie outside", text,
               total, offset, len);
    }
}

/* The value of a key, of that length, which holds that range. */
static struct value* value_with(const char* function, const char* text, long total, long offset,
                                long len)
{
    struct value* value = sized_value(function, named_key(function, text), total);
    check_range(function, value, offset, len);
    return value;
}

static struct window* find_window(struct call* call, struct value* value, uint8_t* start, long len)
{
    for (size_t i = 0; i < call->window_count; i++) {
        struct window* window = &call->windows[i];
        if (window->value == value && window->start == start && window->len == len) {
            return window;
        }
    }
    return NULL;
}

/* Notes a window of the running call; the value cannot be resized before it is closed. */
static uint8_t* open_window(const char* function, const char* text, long total, long offset,
                            long len)
{
    struct call* call = self();
    struct value* value;
    uint8_t* start;
    int current = 0;
    do {
        value = value_with(function, text, total, offset, len);
        start = value->bytes + (value->len > 0 ? offset : 0);
        if (find_window(call, value, start, len) != NULL) {
            drop(value);
            return start;
        }
        pthread_mutex_lock(&keys.mutex);
        current = value->key->value == value;
        if (current) {
            value->open++;
        } else { /* a resize since it was found has put another in its place */
            drop_locked(value);
        }
        pthread_mutex_unlock(&keys.mutex);
    } while (!current);
    if (call->window_count == call->window_room) {
        call->window_room = call->window_room > 0 ? 2 * call->window_room : 4;
        call->windows =
          (struct window*)grown(call->windows, call->window_room * sizeof *call->windows);
    }
    call->windows[call->window_count].value = value;
    call->windows[call->window_count].start = start;
    call->windows[call->window_count++].len = len;
    return start;
}

static void close_window(struct call* call, size_t at)
{
    struct value* value = call->windows[at].value;
    pthread_mutex_lock(&keys.mutex);
    value->open--;
    drop_locked(value);
    pthread_mutex_unlock(&keys.mutex);
    call->windows[at] = call->windows[--call->window_count];
}

/* Removes the value; what is still being copied from it lives on until that is done. */
static void delete_value(const char* function, struct key* key)
{
    long open;
    pthread_mutex_lock(&keys.mutex);
    open = key->value != NULL ? key->value->open : 0;
    if (key->value != NULL && open == 0) {
        drop_locked(key->value);
        key->value = NULL;
    }
    pthread_mutex_unlock(&keys.mutex);
    if (open > 0) {
        refuse(function,
               "key \"%s\" cannot be deleted while a call has a window on it; unmap it or await "
               "the call",
               key->text);
    }
}

static void append_record(struct key* key, const uint8_t* data, size_t len)
{
    struct records* records = &key->records;
    size_t used;
    pthread_mutex_lock(&keys.mutex);
    used = records->count > 0 ? records->ends[records->count - 1] : 0;
    if (used + len > records->bytes_room) {
        records->bytes_room = 2 * (used + len);
        records->bytes = (uint8_t*)grown(records->bytes, records->bytes_room);
    }
    if (records->count == records->room) {
        records->room = records->room > 0 ? 2 * records->room : 64;
        records->ends = (size_t*)grown(records->ends, records->room * sizeof *records->ends);
    }
    if (len > 0) {
        memcpy(records->bytes + used, data, len);
    }
    records->ends[records->count++] = used + len;
    pthread_mutex_unlock(&keys.mutex);
}

/* Copies the first `wanted` records, if there are so many and the buffer holds them. */
static void read_records(const char* function, struct key* key, uint8_t* to, long len, long wanted)
{
    struct records* records = &key->records;
    size_t count, need = 0;
    int fits;
    pthread_mutex_lock(&keys.mutex);
    count = records->count;
    fits = wanted >= 0 && len >= 0 && (size_t)wanted <= count;
    if (fits && wanted > 0) {
        need = records->ends[wanted - 1];
        fits = need <= (size_t)len;
    }
    if (fits && need > 0) {
        memcpy(to, records->bytes, need);
    }
    pthread_mutex_unlock(&keys.mutex);
    if (!fits) {
        refuse(function,
               "key \"%s\" has %zu appended elements; %ld of them need %zu bytes, the buffer has "
               "%ld",
               key->text, count, wanted, need, len);
    }
}
