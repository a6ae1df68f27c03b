/* The functions of faasm/host_interface.h. Part of mobula_native.c. */

long __faasm_read_input(uint8_t* buffer, long len)
{
    const struct call* call = self();
    long n;
    length(__func__, len, "the buffer's length");
    n = call->input_size < len ? call->input_size : len;
    if (len == 0) {
        return call->input_size;
    }
    if (n > 0) {
        memcpy(buffer, call->input, (size_t)n);
    }
    return n;
}

void __faasm_write_output(const uint8_t* data, long len)
{
    struct call* call = self();
    payload(__func__, len, "the output");
    call->output = (uint8_t*)grown(call->output, len > 0 ? (size_t)len : 1);
    call->output_size = len;
    if (len > 0) {
        memcpy(call->output, data, (size_t)len);
    }
}

int __faasm_get_idx(void)
{
    return self()->idx;
}

unsigned int __faasm_get_conf_flag(const char* key)
{
    begin();
    if (key == NULL || strnlen(key, KEY_BYTES + 1) > KEY_BYTES) {
        refuse(__func__, "a key has 1 to %d bytes; this one has no end there", KEY_BYTES);
    }
    return (unsigned int)flag_is_on(key);
}

/* ---------------------------------------------------------------- chaining */

unsigned int __faasm_chain_function(const char* name, const uint8_t* input, long len)
{
    char why[8192] = "a function needs a name";
    struct call* me = chaining(__func__);
    struct module* module = NULL;
    struct call* call;
    payload(__func__, len, "the input");
    if (name != NULL && strnlen(name, KEY_BYTES + 1) > KEY_BYTES) {
        refuse(__func__, "a function's name has at most %d bytes", KEY_BYTES);
    }
    if (name != NULL && name[0] != '\0') {
        module = named_module(name, why, sizeof why);
    }
    if (module == NULL) {
        refuse(__func__, "%s", why);
    }
    call = fresh_call(input, len);
    set_entry(__func__, call, module, 0);
    return start_call(__func__, me, call);
}

static unsigned int chain_index(const char* function, int idx, const uint8_t* input, long len)
{
    struct call* me = chaining(function);
    struct call* call;
    payload(function, len, "the input");
    call = fresh_call(input, len);
    set_entry(function, call, me->module, idx);
    return start_call(function, me, call);
}

unsigned int __faasm_chain_this(int idx, const uint8_t* input, long len)
{
    return chain_index(__func__, idx, input, len);
}

unsigned int __faasm_chain_ptr(int (*function)(void), const uint8_t* input, long len)
{
    struct call* me = chaining(__func__);
    struct call* call;
    payload(__func__, len, "the input");
    if (function == NULL) {
        refuse(__func__, "there is no function at address 0");
    }
    call = fresh_call(input, len);
    call->module = me->module;
    call->function = function;
    call->by_pointer = 1;
    return start_call(__func__, me, call);
}

unsigned int __mobula_chain_range(int idx, int64_t lo, int64_t hi, int64_t grain,
                                  const uint8_t* input, long len)
{
    const int64_t range[3] = { lo, hi, grain };
    return start_loop(__func__, idx, range, input, len);
}

int __mobula_get_range(int64_t* lo, int64_t* hi)
{
    const struct call* call = self();
    *lo = call->lo;
    *hi = call->hi;
    return call->has_range;
}

unsigned int __mobula_chain_at(const char* key, int64_t offset, int idx, const uint8_t* input,
                               long len)
{
    struct key* named = named_key(__func__, key);
    struct value* value = get_value(named);
    if (value != NULL) {
        check_range(__func__, value, (long)offset, 1);
        drop(value);
    } else if (offset < 0) {
        refuse(__func__, "key \"%s\" has 0 bytes; offset %lld and length 1 lie outside",
               named->text, (long long)offset);
    }
    return chain_index(__func__, idx, input, len);
}

unsigned int __mobula_await_any(const unsigned int* ids, long n)
{
    return await_any(__func__, ids, n);
}

int __faasm_await_call(unsigned int id)
{
    struct child* child = await_child(__func__, id, 0);
    const int code = result_of(child);
    close_child(self(), child);
    return code;
}

int __faasm_await_call_output(unsigned int id, uint8_t* buffer, long len)
{
    struct child* child;
    int code;
    length(__func__, len, "the buffer's length");
    child = await_child(__func__, id, 1);
    code = result_of(child);
    copy_output(child, buffer, len);
    close_child(self(), child);
    return code;
}

int __mobula_await_output_size(unsigned int id, uint32_t* size)
{
    struct child* child = await_child(__func__, id, 1);
    *size = (uint32_t)child->one->output_size;
    child->kind = CHILD_OUTPUT;
    return result_of(child);
}

long __mobula_take_output(unsigned int id, uint8_t* buffer, long len)
{
    struct child* child;
    long n;
    length(__func__, len, "the buffer's length");
    child = child_of(__func__, self(), id);
    if (child->kind != CHILD_OUTPUT) {
        refuse(__func__,
               "call id %u was not given to this call (only the call that chained it can await it)",
               id);
    }
    n = copy_output(child, buffer, len);
    close_child(self(), child);
    return n;
}

/* ---------------------------------------------------------------- state */

long __faasm_read_state(const char* key, uint8_t* buffer, long len)
{
    struct value* value = get_value(named_key(__func__, key));
    const long size = value != NULL ? value->len : 0;
    long n;
    if (len < 0 && value != NULL) {
        drop(value);
    }
    length(__func__, len, "the buffer's length");
    n = size < len ? size : len;
    if (value == NULL && len > 0) {
        memset(buffer, 0, (size_t)len);
    } else if (n > 0) {
        memcpy(buffer, value->bytes, (size_t)n);
    }
    if (value != NULL) {
        drop(value);
    }
    return len == 0 ? size : n;
}

void __faasm_write_state(const char* key, const uint8_t* data, long len)
{
    struct key* named = named_key(__func__, key);
    struct value* value = whole_value(__func__, named, length(__func__, len, "the length"));
    if (len > 0) {
        memcpy(value->bytes, data, (size_t)len);
    }
    drop(value);
}

void __faasm_read_state_offset(const char* key, long total, long offset, uint8_t* buffer, long len)
{
    struct value* value = value_with(__func__, key, total, offset, len);
    if (len > 0) {
        memcpy(buffer, value->bytes + offset, (size_t)len);
    }
    drop(value);
}

void __faasm_write_state_offset(const char* key, long total, long offset, const uint8_t* data,
                                long len)
{
    struct value* value = value_with(__func__, key, total, offset, len);
    if (len > 0) {
        memcpy(value->bytes + offset, data, (size_t)len);
    }
    drop(value);
}

uint8_t* __faasm_read_state_ptr(const char* key, long total)
{
    return open_window(__func__, key, total, 0, total);
}

uint8_t* __faasm_read_state_offset_ptr(const char* key, long total, long offset, long len)
{
    return open_window(__func__, key, total, offset, len);
}

void __faasm_flag_state_dirty(const char* key, long total)
{
    drop(value_with(__func__, key, total, 0, total));
}

void __faasm_flag_state_offset_dirty(const char* key, long total, long offset, long len)
{
    drop(value_with(__func__, key, total, offset, len));
}

/* Memory is home here: a push has nothing to send. Taking the mutex orders it. */
void __faasm_push_state(const char* key)
{
    drop(known_value(__func__, named_key(__func__, key)));
}

void __faasm_push_state_partial(const char* key)
{
    drop(known_value(__func__, named_key(__func__, key)));
}

void __faasm_push_state_partial_mask(const char* key, const char* mask_key)
{
    struct key* named = named_key(__func__, key);
    struct key* mask = named_key(__func__, mask_key);
    struct value* value = known_value(__func__, named);
    struct value* mask_value = get_value(mask);
    const long len = value->len;
    const long mask_len = mask_value != NULL ? mask_value->len : -1;
    if (mask_len == len) {
        memset(mask_value->bytes, 0, (size_t)len);
    }
    drop(value);
    if (mask_value == NULL) {
        known_value(__func__, mask);
    }
    drop(mask_value);
    if (mask_len != len) {
        refuse(__func__, "mask \"%s\" has %ld bytes but key \"%s\" has %ld; they must be equal",
               mask->text, mask_len, named->text, len);
    }
}

void __faasm_pull_state(const char* key, long len)
{
    struct key* named = named_key(__func__, key);
    drop(sized_value(__func__, named, length(__func__, len, "the length")));
}

void __mobula_push_merge(const char* key, int type, int op)
{
    check_merge(__func__, type, op);
    drop(known_value(__func__, named_key(__func__, key)));
}

void __mobula_merge_state(const char* key, long total, long offset, const uint8_t* data, long len,
                          int type, int op)
{
    const long size = check_merge(__func__, type, op);
    struct value* value = value_with(__func__, key, total, offset, len);
    if (offset % size != 0 || len % size != 0) {
        const char* text = value->key->text;
        drop(value);
        refuse(__func__,
               "key \"%s\": offset %ld and length %ld are no multiples of %ld, the bytes of an "
               "element of this type",
               text, offset, len, size);
    }
    for (long at = 0; at < len; at += size) {
        merge_one(value->bytes + offset + at, data + at, type, op);
    }
    drop(value);
}

void __mobula_state_create(const char* key, long len)
{
    struct key* named = named_key(__func__, key);
    drop(sized_value(__func__, named, length(__func__, len, "the length")));
}

void __mobula_state_delete(const char* key)
{
    delete_value(__func__, named_key(__func__, key));
}

void __mobula_unmap(void* window)
{
    struct call* call = self();
    int found = 0;
    for (size_t i = call->window_count; i-- > 0;) {
        const struct window* own = &call->windows[i];
        const uintptr_t at = (uintptr_t)window - (uintptr_t)own->start;
        if (at < (uintptr_t)own->len || at == 0) {
            close_window(call, i);
            found = 1;
        }
    }
    if (!found) {
        refuse(__func__, "this call has no window at %p", window);
    }
}

void __faasm_append_state(const char* key, const uint8_t* data, long len)
{
    append_record(named_key(__func__, key), data,
                  (size_t)length(__func__, len, "the length"));
}

void __faasm_read_appended_state(const char* key, uint8_t* buffer, long len, long elements)
{
    read_records(__func__, named_key(__func__, key), buffer, len, elements);
}

void __faasm_clear_appended_state(const char* key)
{
    struct key* named = named_key(__func__, key);
    pthread_mutex_lock(&keys.mutex);
    named->records.count = 0;
    pthread_mutex_unlock(&keys.mutex);
}

/* ---------------------------------------------------------------- locks */

void __faasm_lock_state_read(const char* key)
{
    lock_key(__func__, key, MODE_READ);
}

void __faasm_unlock_state_read(const char* key)
{
    unlock_key(__func__, key, MODE_READ);
}

void __faasm_lock_state_write(const char* key)
{
    lock_key(__func__, key, MODE_WRITE);
}

void __faasm_unlock_state_write(const char* key)
{
    unlock_key(__func__, key, MODE_WRITE);
}

void __faasm_lock_state_global(const char* key)
{
    lock_key(__func__, key, MODE_GLOBAL);
}

void __faasm_unlock_state_global(const char* key)
{
    unlock_key(__func__, key, MODE_GLOBAL);
}
