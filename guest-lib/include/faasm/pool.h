/* A set of calls that are chained one by one and awaited together. */
#ifndef FAASM_POOL_H
#define FAASM_POOL_H

#include <string>
#include <type_traits>
#include <vector>

#include "faasm/core.h"

namespace faasm {

class FunctionPool
{
  public:
    /* Chains entry funcIdx of this module, and returns the call's id. */
    unsigned int chain(int funcIdx) { return add(faasmChainThis(funcIdx)); }

    unsigned int chain(int funcIdx, const uint8_t* input, long len)
    {
        return add(faasmChainThisInput(funcIdx, input, len));
    }

    unsigned int chain(int funcIdx, const std::string& input)
    {
        return chain(funcIdx, BYTES_CONST(input.data()), static_cast<long>(input.size()));
    }

    /* The input is the bytes of this value; the callee has getTypedInput<T>. */
    template<typename T>
    unsigned int chainTyped(int funcIdx, const T& input)
    {
        static_assert(std::is_trivially_copyable<T>::value, "an input is plain bytes");
        return chain(funcIdx, BYTES_CONST(&input), static_cast<long>(sizeof input));
    }

    /* Chains another function of the same user by its name. */
    unsigned int chain(const char* name) { return add(faasmChainFunction(name)); }

    unsigned int chain(const char* name, const uint8_t* input, long len)
    {
        return add(faasmChainFunctionInput(name, input, len));
    }

    unsigned int chain(const char* name, const std::string& input)
    {
        return chain(name, BYTES_CONST(input.data()), static_cast<long>(input.size()));
    }

    /* Chains a function of this module by its address. */
    unsigned int chain(FaasmFuncPtr function, const uint8_t* input = nullptr, long len = 0)
    {
        return add(faasmChain(function, input, len));
    }

    /* Awaits every call of the pool, also after one has failed, and empties it. Returns how many
     * gave something else than 0. */
    unsigned int awaitAll()
    {
        unsigned int failed = 0;
        for (unsigned int id : callIds) {
            failed += faasmAwaitCall(id) != 0;
        }
        callIds.clear();
        return failed;
    }

    /* Calls that awaitAll() would wait for. */
    size_t size() const { return callIds.size(); }

  private:
    std::vector<unsigned int> callIds;

    unsigned int add(unsigned int id)
    {
        callIds.push_back(id);
        return id;
    }
};

} // namespace faasm

#endif
