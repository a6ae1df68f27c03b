/* Environment, start and end of the program. Part of mobula_native.c.
 *
 *   constructor ─▶ begin: environment, state from files
 *   main of FAASM_MAIN_FUNC ─▶ __mobula_native_main: proto-function, main call, finish
 *   a plain main: proto-function in the constructor, finish at exit
 */

/* What `mobula run` takes as an option; see guest-lib/README.md. */
#define ENV_USER "MOBULA_USER"
#define ENV_CONF "MOBULA_CONF"
#define ENV_INPUT "MOBULA_INPUT"
#define ENV_INPUT_FILE "MOBULA_INPUT_FILE"
#define ENV_OUTPUT "MOBULA_OUTPUT"
#define ENV_STATE "MOBULA_STATE"
#define ENV_SAVE_STATE "MOBULA_SAVE_STATE"
#define ENV_THREADS "MOBULA_THREADS"
#define ENV_FUNC "MOBULA_FUNC"

static const char* setting(const char* name)
{
    const char* text = getenv(name);
    return text != NULL && text[0] != '\0' ? text : NULL;
}

static long number_setting(const char* name, long least, long most, long otherwise)
{
    const char* text = setting(name);
    char* end = NULL;
    long number;
    if (text == NULL) {
        return otherwise;
    }
    number = strtol(text, &end, 10);
    if (*end != '\0' || number < least || number > most) {
        fail("%s=%s: give a number from %ld to %ld", name, text, least, most);
    }
    return number;
}

/* Whether the comma-separated list KEY=V,... switches the flag on. */
static int flag_is_on(const char* flag)
{
    const char* at = program.conf;
    const size_t len = strlen(flag);
    int on = strcmp(flag, "ALWAYS_ON") == 0;
    while (at != NULL && *at != '\0' && strcmp(flag, "ALWAYS_OFF") != 0) {
        if (strncmp(at, flag, len) == 0 && at[len] == '=') {
            const char* value = at + len + 1;
            const size_t n = strcspn(value, ",");
            on = (n == 1 && value[0] == '1') || (n == 2 && strncmp(value, "on", 2) == 0) ||
                 (n == 4 && strncmp(value, "true", 4) == 0);
        }
        at += strcspn(at, ",");
        at += *at == ',';
    }
    return on;
}

/* All bytes of a file, which may be a pipe. */
static uint8_t* read_file(const char* name, const char* path, long* size)
{
    const int fd = open(path, O_RDONLY);
    uint8_t* bytes = NULL;
    size_t used = 0, room = 0;
    ssize_t n = 1;
    while (fd >= 0 && n > 0) {
        if (used == room) {
            room = room > 0 ? 2 * room : 1 << 16;
            bytes = (uint8_t*)grown(bytes, room);
        }
        do {
            n = read(fd, bytes + used, room - used);
        } while (n < 0 && errno == EINTR);
        used += n > 0 ? (size_t)n : 0;
    }
    if (fd < 0 || n < 0) {
        fail("%s: cannot read %s: %s", name, path, strerror(errno));
    }
    close(fd);
    *size = (long)used;
    return bytes;
}

static void write_file(const char* name, const char* path, const uint8_t* bytes, long size)
{
    const int own = strcmp(path, "-") != 0;
    const int fd = own ? open(path, O_WRONLY | O_CREAT | O_TRUNC, 0666) : 1;
    long done = 0;
    while (fd >= 0 && done < size) {
        const ssize_t n = write(fd, bytes + done, (size_t)(size - done));
        if (n < 0 && errno != EINTR) {
            break;
        }
        done += n > 0 ? (long)n : 0;
    }
    if (fd < 0 || done < size || (own && close(fd) != 0)) {
        fail("%s: cannot write %s: %s", name, path, strerror(errno));
    }
}

/* Calls `each` for every USER/KEY=FILE of a comma-separated list. */
static void for_state(const char* name, void (*each)(const char*, struct key*, const char*))
{
    char *list, *rest = NULL;
    if (setting(name) == NULL) {
        return;
    }
    list = copied(setting(name));
    for (char* at = strtok_r(list, ",", &rest); at != NULL; at = strtok_r(NULL, ",", &rest)) {
        char* file = strchr(at, '=');
        char* key = file != NULL ? (char*)memchr(at, '/', (size_t)(file - at)) : NULL;
        if (key == NULL || key == at || key + 1 == file || file[1] == '\0' ||
            file - key > KEY_BYTES + 1) {
            fail("%s: %s: write it as USER/KEY=FILE", name, at);
        }
        *key = *file = '\0';
        each(name, key_of(at, key + 1), file + 1);
    }
    free(list);
}

static void load_state(const char* name, struct key* key, const char* path)
{
    long size = 0;
    uint8_t* bytes = read_file(name, path, &size);
    struct value* value = fresh_value(key, size);
    if (value == NULL) {
        fail("%s: no memory for %ld bytes of %s", name, size, key->name);
    }
    if (size > 0) {
        memcpy(value->bytes, bytes, (size_t)size);
    }
    key->value = value;
    free(bytes);
}

static void save_state(const char* name, struct key* key, const char* path)
{
    struct value* value = get_value(key);
    if (value == NULL) {
        fail("%s: key \"%s\" has no value", name, key->text);
    }
    write_file(name, path, value->bytes, value->len);
    drop(value);
}

static void set_up_main(void)
{
    struct rlimit limit;
    struct call* call = &program.main;
    cpu_set_t cpus;
    size_t stack = 8 << 20;
    if (getrlimit(RLIMIT_STACK, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) {
        stack = (size_t)limit.rlim_cur;
    }
    set_up_thread(&program.thread, stack / 2);
    call->thread = &program.thread;
    call->module = executable();
    call->state = CALL_RUNNING;
    call->serial = ++pool.serial;
    CPU_ZERO(&cpus);
    pool.limit = sched_getaffinity(0, sizeof cpus, &cpus) == 0 ? CPU_COUNT(&cpus) : 1;
    pool.limit = (int)number_setting(ENV_THREADS, 1, 1024, pool.limit);
}

/* Once, on the main thread, before anything is asked of us. */
static void begin(void)
{
    long size = 0;
    if (program.begun) {
        return;
    }
    program.begun = 1;
    program.user = setting(ENV_USER) != NULL ? setting(ENV_USER) : "demo";
    program.conf = setting(ENV_CONF);
    if (strpbrk(program.user, "/=") != NULL || strlen(program.user) > KEY_BYTES) {
        fail("%s=%s: a user's name is short and has no / or =", ENV_USER, program.user);
    }
    set_up_main();
    if (setting(ENV_INPUT) != NULL) {
        size = (long)strlen(setting(ENV_INPUT));
        program.main.input = (uint8_t*)copied(setting(ENV_INPUT));
    } else if (setting(ENV_INPUT_FILE) != NULL) {
        program.main.input = read_file(ENV_INPUT_FILE, setting(ENV_INPUT_FILE), &size);
    }
    program.main.input_size = size;
    for_state(ENV_STATE, load_state);
}

/* Runs the module's proto-function if it has one and it has not run; 0 when all is well. */
static int run_zygote(struct module* module)
{
    struct call call;
    struct call* const below = running;
    int code = 0;
    if (module->zygote != NULL && !module->ready) {
        memset(&call, 0, sizeof call);
        call.module = module;
        call.function = module->zygote;
        call.thread = this_thread;
        running = &call;
        code = enter(&call);
        call.window_count = 0; /* they stay open: every call may rely on their addresses */
        end_call(&call);
        running = below;
    }
    module->ready = 1;
    if (code != 0 && code != RESULT_TRAP) {
        fprintf(stderr, "mobula: %s/%s: _faasm_zygote failed before the first call: it returned "
                "%d\n", program.user, module->name, code);
    }
    return code;
}

static void begin_module(struct module* module)
{
    begin();
    if (run_zygote(module) != 0) {
        fail("%s/%s cannot be run", program.user, module->name);
    }
}

/* After main: calls that nobody awaited run to their end, then output and state are written. */
static void finish(void)
{
    if (program.ended || getpid() != gettid()) {
        return;
    }
    program.ended = 1;
    end_call(&program.main);
    drain();
    fflush(NULL);
    if (setting(ENV_OUTPUT) != NULL) {
        write_file(ENV_OUTPUT, setting(ENV_OUTPUT), program.main.output,
                   program.main.output_size);
    }
    for_state(ENV_SAVE_STATE, save_state);
}

/* exit() in a chained call ends that call, as it does in a sandbox. (Not in a static program, whose
 * libc's own takes the place of this weak one.) */
__attribute__((noreturn, weak)) void __mobula_native_exit(int code) __asm__("exit");
void __mobula_native_exit(int code)
{
    void (*real)(int) = NULL;
    if (running != NULL && running != &program.main) {
        leave(running, code);
    }
    *(void**)&real = dlsym(RTLD_NEXT, "exit");
    real(code);
    _exit(code);
}

__attribute__((constructor)) static void construct(void)
{
    struct module* module = executable();
    atexit(finish);
    begin();
    if (module->main == NULL) { /* a plain main, or one that this constructor comes before */
        begin_module(module);
    }
}

static void set_main_entry(struct call* call, struct module* module, int idx)
{
    char available[300];
    if (!fill_entry(call, module, idx)) {
        describe_entries(module, available, sizeof available);
        fail("%s/%s has no entry %d; it has %s", program.user, module->name, idx, available);
    }
}

int __mobula_native_main(int argc, char** argv)
{
    struct module* module = executable();
    struct call* call = &program.main;
    program.argc = argc;
    program.argv = argv;
    begin_module(module);
    running = call;
    set_main_entry(call, module, (int)number_setting(ENV_FUNC, INT32_MIN, INT32_MAX, 0));
    enter(call);
    finish();
    if (call->refused) {
        return EXIT_TRAP;
    }
    if (call->code < 0 || call->code > 255) {
        fprintf(stderr, "mobula: the guest returned %d; exit code %d\n", call->code, EXIT_WIDE);
        return EXIT_WIDE;
    }
    return call->code;
}

/* For programs of FAASM_FUNCs without a main: MOBULA_FUNC says which entry to run. */
__attribute__((weak)) int __mobula_no_main(int argc, char** argv) __asm__("main");
int __mobula_no_main(int argc, char** argv)
{
    modules.no_main = 1;
    return __mobula_native_main(argc, argv);
}
