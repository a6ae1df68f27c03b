/* Counters that all calls share: state values of one 32-bit integer.
 *
 *                                        correct among
 *   incrementCounter(key)                the calls of one host: an atomic addition to the window,
 *   incrementCounter(key, n, false)      then a push; getCounter reads this host's copy
 *   getCounter(key), initCounter(key)
 *
 *   incrementCounter(key, n)             all calls of the job: the same under the key's global
 *   AtomicInt: +=, get, reset            lock, with a pull before
 *
 * On one host the two kinds mix freely. In a job with several hosts use the locked kind throughout,
 * or hold the lock and pull before: the pull of one call replaces what another call of its host has
 * added and not pushed. The unlocked kind takes no lock, so it may be used under one.
 *
 * Atomics need -matomics in wasm, which mobula c++ passes. Without it the compiler makes them plain
 * loads and stores, and says nothing.
 */
#ifndef FAASM_COUNTER_H
#define FAASM_COUNTER_H

#include <cstdint>
#include <string>

#include "faasm/checked.h"

/* The key of an AtomicInt that is given none. */
#define COUNTER_KEY "atomic_counter"

namespace faasm {

inline int32_t* counterWindow(const char* function, const char* key)
{
    return stateWindow<int32_t>(function, key, 1);
}

inline void pushCounter(const char* key)
{
    faasmFlagStateDirty(key, sizeof(int32_t));
    faasmPushState(key);
}

/* The lock of the whole job, and a fresh copy of the counter: for as long as this lives. */
class CounterLock
{
  public:
    explicit CounterLock(const char* keyIn)
      : key(keyIn)
    {
        faasmLockStateGlobal(key);
        faasmPullState(key, sizeof(int32_t));
    }

    ~CounterLock() { faasmUnlockStateGlobal(key); }

    CounterLock(const CounterLock&) = delete;
    CounterLock& operator=(const CounterLock&) = delete;

  private:
    const char* const key;
};

/* Sets the counter to 0. */
inline void initCounter(const char* counterKey)
{
    __atomic_store_n(counterWindow("initCounter", counterKey), 0, __ATOMIC_SEQ_CST);
    pushCounter(counterKey);
}

inline int getCounter(const char* counterKey)
{
    return __atomic_load_n(counterWindow("getCounter", counterKey), __ATOMIC_SEQ_CST);
}

/* Adds, and returns what the counter is then; wraps like unsigned integers. */
inline int incrementCounter(const char* counterKey, int increment, bool globalLock = true)
{
    int32_t* counter = counterWindow("incrementCounter", counterKey);
    if (globalLock) {
        const CounterLock lock(counterKey);
        return incrementCounter(counterKey, increment, false);
    }
    const int32_t now = __atomic_add_fetch(counter, int32_t{ increment }, __ATOMIC_SEQ_CST);
    pushCounter(counterKey);
    return now;
}

inline void incrementCounter(const char* counterKey)
{
    incrementCounter(counterKey, 1, false);
}

/* The forms of 2019, whose last parameter says whether not to wait for the home of the value. */
inline void initCounter(const char* counterKey, bool)
{
    initCounter(counterKey);
}

inline int getCounter(const char* counterKey, bool async)
{
    counterWindow("getCounter", counterKey);
    if (!async) {
        faasmPullState(counterKey, sizeof(int32_t));
    }
    return getCounter(counterKey);
}

inline void incrementCounter(const char* counterKey, bool async)
{
    incrementCounter(counterKey, 1, !async);
}

/* A counter as an object. The object holds only the key; any number of them share the count. */
class AtomicInt
{
  public:
    AtomicInt()
      : AtomicInt(COUNTER_KEY)
    {}

    AtomicInt(const std::string& keyIn)
      : key(keyIn)
    {}

    int operator+=(int other) { return incrementCounter(key.c_str(), other, true); }

    int get()
    {
        counterWindow("AtomicInt", key.c_str());
        const CounterLock lock(key.c_str());
        return getCounter(key.c_str());
    }

    void reset()
    {
        counterWindow("AtomicInt", key.c_str());
        const CounterLock lock(key.c_str());
        initCounter(key.c_str());
    }

  private:
    const std::string key;
};

} // namespace faasm

#endif
