/* Merging elements into a value, each atomically. Part of mobula_native.c. */

/* The size of an element; refuses types and operations that there are not. */
static long check_merge(const char* function, int type, int op)
{
    if (type < MOBULA_I32 || type > MOBULA_F64 || op < MOBULA_SUM || op > MOBULA_MAX) {
        refuse(function, "there is no merge of type %d with operation %d; see faasm/mobula.h", type,
               op);
    }
    return type == MOBULA_I32 || type == MOBULA_F32 ? 4 : 8;
}

static int64_t merged_integer(int64_t old, int64_t with, int op)
{
    switch (op) {
    case MOBULA_SUM:
        return (int64_t)((uint64_t)old + (uint64_t)with);
    case MOBULA_MIN:
        return with < old ? with : old;
    default:
        return with > old ? with : old;
    }
}

/* For minimum and maximum a number is preferred to a NaN. */
static double merged_float(double old, double with, int op)
{
    switch (op) {
    case MOBULA_SUM:
        return old + with;
    case MOBULA_MIN:
        return with < old || old != old ? with : old;
    default:
        return with > old || old != old ? with : old;
    }
}

static uint32_t merged32(uint32_t old, uint32_t with, int type, int op)
{
    float a, b;
    if (type == MOBULA_I32) {
        return (uint32_t)merged_integer((int32_t)old, (int32_t)with, op);
    }
    memcpy(&a, &old, sizeof a);
    memcpy(&b, &with, sizeof b);
    a = op == MOBULA_SUM ? a + b : (float)merged_float(a, b, op);
    memcpy(&old, &a, sizeof old);
    return old;
}

static uint64_t merged64(uint64_t old, uint64_t with, int type, int op)
{
    double a, b;
    if (type == MOBULA_I64) {
        return (uint64_t)merged_integer((int64_t)old, (int64_t)with, op);
    }
    memcpy(&a, &old, sizeof a);
    memcpy(&b, &with, sizeof b);
    a = merged_float(a, b, op);
    memcpy(&old, &a, sizeof old);
    return old;
}

/* `at` is aligned to the element's size; `from` need not be. */
static void merge_one(uint8_t* at, const uint8_t* from, int type, int op)
{
    if (type == MOBULA_I32 || type == MOBULA_F32) {
        uint32_t* shared32 = (uint32_t*)(void*)at;
        uint32_t with, old = __atomic_load_n(shared32, __ATOMIC_RELAXED);
        memcpy(&with, from, sizeof with);
        while (!__atomic_compare_exchange_n(shared32, &old, merged32(old, with, type, op), 0,
                                            __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) {
        }
    } else {
        uint64_t* shared64 = (uint64_t*)(void*)at;
        uint64_t with, old = __atomic_load_n(shared64, __ATOMIC_RELAXED);
        memcpy(&with, from, sizeof with);
        while (!__atomic_compare_exchange_n(shared64, &old, merged64(old, with, type, op), 0,
                                            __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) {
        }
    }
}
