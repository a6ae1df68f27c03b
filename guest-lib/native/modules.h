/* The executable and the shared objects that are chained by name. Part of mobula_native.c.
 *
 * Each tells its entries in constructor functions (faasm/entry.h), before main or inside dlopen. An
 * entry belongs to the object whose __dso_handle it was told with. */

static struct {
    pthread_mutex_t mutex; /* recursive: constructors of what is being loaded come back here */
    struct module* first;
    const char* loading; /* name of the object that is being loaded */
    int no_main;         /* the executable has none of its own */
} modules = { PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP, NULL, NULL, 0 };

/* The executable's name without a suffix. */
static char* program_name(void)
{
    char* name = copied(program_invocation_short_name);
    char* dot = strrchr(name, '.');
    if (dot != NULL && dot != name) {
        *dot = '\0';
    }
    return name;
}

static struct module* module_of(const void* id)
{
    struct module* found;
    pthread_mutex_lock(&modules.mutex);
    found = modules.first;
    while (found != NULL && found->id != id) {
        found = found->next;
    }
    if (found == NULL) {
        found = (struct module*)zeroed(sizeof *found);
        found->id = id;
        found->name = modules.loading != NULL ? copied(modules.loading) : program_name();
        found->next = modules.first;
        modules.first = found;
    }
    pthread_mutex_unlock(&modules.mutex);
    return found;
}

void __mobula_native_entry(const void* id, int idx, int (*function)(void))
{
    struct module* module = module_of(id);
    struct entry* entry = (struct entry*)zeroed(sizeof *entry);
    pthread_mutex_lock(&modules.mutex);
    entry->idx = idx;
    entry->function = function;
    entry->next = module->entries;
    module->entries = entry;
    pthread_mutex_unlock(&modules.mutex);
}

void __mobula_native_main_entry(const void* id, int (*function)(int, char**))
{
    module_of(id)->main = function;
}

void __mobula_native_zygote(const void* id, int (*function)(void))
{
    module_of(id)->zygote = function;
}

static struct module* executable(void)
{
    return module_of(&__dso_handle);
}

/* The main of a module, if it has one. A plain main of the executable can be found when it was
 * linked with -rdynamic. */
static main_function main_of(struct module* module)
{
    main_function found = module->main;
    if (found == NULL && module->id == &__dso_handle && !modules.no_main) {
        *(void**)&found = dlsym(RTLD_DEFAULT, "main");
    }
    return found;
}

static struct entry* find_entry(struct module* module, int idx)
{
    struct entry* entry = module->entries;
    while (entry != NULL && entry->idx != idx) {
        entry = entry->next;
    }
    return entry;
}

static int smallest_above(struct module* module, int64_t least, int* idx)
{
    int found = main_of(module) != NULL && least < 0;
    *idx = 0;
    for (struct entry* entry = module->entries; entry != NULL; entry = entry->next) {
        if (entry->idx > least && (!found || entry->idx < *idx)) {
            *idx = entry->idx;
            found = 1;
        }
    }
    return found;
}

/* Which entries a module has, for people. */
static void describe_entries(struct module* module, char* text, size_t size)
{
    int64_t above = INT64_MIN;
    size_t used = 0, count = 0;
    int idx;
    char list[256] = "";
    while (used + 16 < sizeof list && smallest_above(module, above, &idx)) {
        const char* comma = count++ > 0 ? ", " : "";
        used += (size_t)snprintf(list + used, sizeof list - used, "%s%d", comma, idx);
        above = idx;
    }
    snprintf(text, size, "%s%s",
             count == 0   ? "none (a guest needs FAASM_MAIN_FUNC, FAASM_FUNC or main)"
             : count == 1 ? "only entry "
                          : "entries ",
             list);
}

/* Fills in what the call runs; tells whether the module has that entry. */
static int fill_entry(struct call* call, struct module* module, int idx)
{
    struct entry* entry = find_entry(module, idx);
    call->module = module;
    call->idx = idx;
    call->function = entry != NULL ? entry->function : NULL;
    call->main = entry == NULL && idx == 0 ? main_of(module) : NULL;
    return call->function != NULL || call->main != NULL;
}

/* The same; refuses an index that the module does not have. */
static void set_entry(const char* function, struct call* call, struct module* module, int idx)
{
    char available[300];
    if (!fill_entry(call, module, idx)) {
        free(call->input);
        free(call);
        describe_entries(module, available, sizeof available);
        refuse(function, "%s/%s has no entry %d; it has %s", program.user, module->name, idx,
               available);
    }
}

static int run_zygote(struct module* module);

/* Loads a shared object whose name a guest gave; NULL after writing down why not. */
static struct module* load_module(const char* name, const char* path, char* why, size_t size)
{
    struct module *before = modules.first, *module;
    void* handle;
    modules.loading = name;
    handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    modules.loading = NULL;
    if (handle == NULL) {
        snprintf(why, size, "cannot load %s: %s", path, dlerror());
        return NULL;
    }
    module = modules.first;
    if (module == before) { /* it has told no entry: a plain main */
        modules.loading = name;
        module = module_of(handle);
        modules.loading = NULL;
        *(void**)&module->main = dlsym(handle, "main");
    }
    if (run_zygote(module) != 0) {
        snprintf(why, size, "the proto-function of %s failed", path);
        return NULL;
    }
    return module;
}

/* Where shared objects are looked for: MOBULA_NATIVE_PATH, or where the executable lies. */
static void search_path(char* text, size_t size)
{
    const char* set = getenv("MOBULA_NATIVE_PATH");
    ssize_t n = 0;
    if (set != NULL && set[0] != '\0') {
        snprintf(text, size, "%s", set);
        return;
    }
    n = readlink("/proc/self/exe", text, size - 1);
    text[n > 0 ? n : 0] = '\0';
    if (strrchr(text, '/') != NULL) {
        *strrchr(text, '/') = '\0';
    }
}

static struct module* find_module(const char* name)
{
    struct module* module = modules.first;
    while (module != NULL && strcmp(module->name, name) != 0) {
        module = module->next;
    }
    return module;
}

/* The function of that name; NULL after writing down why there is none. */
static struct module* named_module(const char* name, char* why, size_t size)
{
    char dirs[4096], file[4096 + KEY_BYTES + 8];
    char *rest = NULL, *dir;
    struct module* module;
    pthread_mutex_lock(&modules.mutex);
    module = find_module(name);
    search_path(dirs, sizeof dirs);
    snprintf(why, size, "user %s has no function \"%s\"; there is no %s.so in %s (or in what "
             "MOBULA_NATIVE_PATH names)", program.user, name, name, dirs);
    dir = strchr(name, '/') == NULL ? strtok_r(dirs, ":", &rest) : NULL;
    while (module == NULL && dir != NULL) {
        snprintf(file, sizeof file, "%s/%s.so", dir, name);
        if (access(file, F_OK) == 0) {
            module = load_module(name, file, why, size);
            break;
        }
        dir = strtok_r(NULL, ":", &rest);
    }
    pthread_mutex_unlock(&modules.mutex);
    return module;
}
