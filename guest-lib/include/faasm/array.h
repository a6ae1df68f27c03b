/* An array in state, on a window: elements are the shared bytes themselves.
 *
 * set() and operator[] flag the element as changed, so that push() sends it and nothing else.
 */
#ifndef FAASM_ARRAY_H
#define FAASM_ARRAY_H

#include <cstddef>
#include <string>

#include "faasm/checked.h"
#include "faasm/state.h"

namespace faasm {

template<typename T>
class AsyncArray
{
  public:
    AsyncArray(const char* keyIn, size_t nElemsIn)
      : key(keyIn)
      , nElems(static_cast<int64_t>(nElemsIn))
      , bytesSize(stateBytes("AsyncArray", keyIn, nElems, sizeof(T)))
    {}

    /* Makes every element 0, for everybody. */
    void zero()
    {
        zeroState(key.c_str(), static_cast<size_t>(bytesSize));
        pullLazy();
    }

    void init() { zero(); }

    /* The element, flagged as changed. */
    T& operator[](int idx)
    {
        T* element = at(idx);
        faasmFlagStateOffsetDirty(key.c_str(), bytesSize, idx * elementSize(), elementSize());
        return *element;
    }

    void set(int idx, T val) { (*this)[idx] = val; }

    T get(int idx) { return *at(idx); }

    /* Opens the window, without asking the home of the value for news. */
    void pullLazy() { contents = stateWindow<T>("AsyncArray", key.c_str(), nElems); }

    void pull()
    {
        pullLazy();
        faasmPullState(key.c_str(), bytesSize);
    }

    void push() { faasmPushStatePartial(key.c_str()); }

    T* data()
    {
        if (contents == nullptr) {
            pullLazy();
        }
        return contents;
    }

  private:
    const std::string key;
    const int64_t nElems;
    const long bytesSize;
    T* contents = nullptr;

    static long elementSize() { return static_cast<long>(sizeof(T)); }

    T* at(int idx)
    {
        if (idx < 0 || idx >= nElems) {
            refuse("AsyncArray", key.c_str(), "element %d of %lld", idx,
                   static_cast<long long>(nElems));
        }
        return data() + idx;
    }
};

} // namespace faasm

#endif
