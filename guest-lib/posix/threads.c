/* Threads where the libc has none: one, so that a lock is free or its own, and nobody signals. */
#include "posix.h"

#include <pthread.h>
#include <stddef.h>

/* Defined by our own header only where the libc has none. */
#ifdef MOBULA_OWN_PTHREAD

#define SELF ((pthread_t)1)
#define HELD(mutex) ((mutex)->__u.__i[0])
#define TYPE(mutex) ((mutex)->__u.__i[1])

WEAK int pthread_create(pthread_t* thread UNUSED, const pthread_attr_t* attr UNUSED,
                        void* (*start)(void*) UNUSED, void* arg UNUSED)
{
    return EAGAIN;
}

WEAK int pthread_join(pthread_t thread, void** result UNUSED)
{
    return thread == SELF ? EDEADLK : ESRCH;
}

WEAK int pthread_detach(pthread_t thread)
{
    return thread == SELF ? 0 : ESRCH;
}

WEAK pthread_t pthread_self(void)
{
    return SELF;
}

WEAK int pthread_equal(pthread_t a, pthread_t b)
{
    return a == b;
}

WEAK int pthread_attr_init(pthread_attr_t* attr UNUSED)
{
    return 0;
}

WEAK int pthread_attr_destroy(pthread_attr_t* attr UNUSED)
{
    return 0;
}

WEAK int pthread_attr_setdetachstate(pthread_attr_t* attr UNUSED, int state UNUSED)
{
    return 0;
}

WEAK int pthread_attr_setstacksize(pthread_attr_t* attr UNUSED, size_t size UNUSED)
{
    return 0;
}

WEAK int pthread_mutexattr_init(pthread_mutexattr_t* attr)
{
    attr->__attr = PTHREAD_MUTEX_NORMAL;
    return 0;
}

WEAK int pthread_mutexattr_destroy(pthread_mutexattr_t* attr UNUSED)
{
    return 0;
}

WEAK int pthread_mutexattr_settype(pthread_mutexattr_t* attr, int type)
{
    attr->__attr = (unsigned)type;
    return type >= 0 && type <= PTHREAD_MUTEX_ERRORCHECK ? 0 : EINVAL;
}

WEAK int pthread_mutex_init(pthread_mutex_t* mutex, const pthread_mutexattr_t* attr)
{
    HELD(mutex) = 0;
    TYPE(mutex) = attr != NULL ? (int)attr->__attr : PTHREAD_MUTEX_NORMAL;
    return 0;
}

WEAK int pthread_mutex_destroy(pthread_mutex_t* mutex)
{
    return HELD(mutex) != 0 ? EBUSY : 0;
}

/* A second lock by the one thread there is would wait for ever: it is told so. */
WEAK int pthread_mutex_lock(pthread_mutex_t* mutex)
{
    if (HELD(mutex) != 0 && TYPE(mutex) != PTHREAD_MUTEX_RECURSIVE) {
        return EDEADLK;
    }
    HELD(mutex)++;
    return 0;
}

WEAK int pthread_mutex_trylock(pthread_mutex_t* mutex)
{
    return pthread_mutex_lock(mutex) == 0 ? 0 : EBUSY;
}

WEAK int pthread_mutex_unlock(pthread_mutex_t* mutex)
{
    if (HELD(mutex) == 0) {
        return EPERM;
    }
    HELD(mutex)--;
    return 0;
}

WEAK int pthread_cond_init(pthread_cond_t* cond UNUSED, const pthread_condattr_t* attr UNUSED)
{
    return 0;
}

WEAK int pthread_cond_destroy(pthread_cond_t* cond UNUSED)
{
    return 0;
}

WEAK int pthread_cond_signal(pthread_cond_t* cond UNUSED)
{
    return 0;
}

WEAK int pthread_cond_broadcast(pthread_cond_t* cond UNUSED)
{
    return 0;
}

WEAK int pthread_cond_wait(pthread_cond_t* cond UNUSED, pthread_mutex_t* mutex UNUSED)
{
    return EDEADLK;
}

WEAK int pthread_cond_timedwait(pthread_cond_t* cond UNUSED, pthread_mutex_t* mutex UNUSED,
                                const struct timespec* until UNUSED)
{
    return ETIMEDOUT;
}

WEAK int pthread_once(pthread_once_t* once, void (*run)(void))
{
    if (*once == PTHREAD_ONCE_INIT) {
        *once = 1;
        run();
    }
    return 0;
}

static const void* values[PTHREAD_KEYS_MAX];
static unsigned char taken[PTHREAD_KEYS_MAX];

WEAK int pthread_key_create(pthread_key_t* key, void (*destroy)(void*) UNUSED)
{
    for (unsigned i = 0; i < PTHREAD_KEYS_MAX; i++) {
        if (!taken[i]) {
            taken[i] = 1;
            values[i] = NULL;
            *key = i;
            return 0;
        }
    }
    return EAGAIN;
}

WEAK int pthread_key_delete(pthread_key_t key)
{
    if (key >= PTHREAD_KEYS_MAX || !taken[key]) {
        return EINVAL;
    }
    taken[key] = 0;
    return 0;
}

WEAK void* pthread_getspecific(pthread_key_t key)
{
    return key < PTHREAD_KEYS_MAX ? (void*)values[key] : NULL;
}

WEAK int pthread_setspecific(pthread_key_t key, const void* value)
{
    if (key >= PTHREAD_KEYS_MAX || !taken[key]) {
        return EINVAL;
    }
    values[key] = value;
    return 0;
}

#endif
