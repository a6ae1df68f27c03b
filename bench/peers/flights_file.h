// The flights as native peers get them: train.bin in the directory BENCH_DATA, mapped; and memory for the
// parts of it that they work on.
#pragma once

#include "../../guest-lib/examples/sgd/sgd_core.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>

struct Flights {
    const sgd::Header* header;
    const sgd::Row* rows;
};

[[noreturn]] inline void give_up(const std::string& what)
{
    std::fprintf(stderr, "%s\n", what.c_str());
    std::exit(2);
}

inline Flights map_flights()
{
    const char* directory = std::getenv("BENCH_DATA");
    const std::string path = std::string(directory ? directory : ".") + "/train.bin";
    const int fd = open(path.c_str(), O_RDONLY);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0 || st.st_size < long(sgd::kDataOffset))
        give_up("cannot open " + path + "; BENCH_DATA is its directory");
    void* p = mmap(nullptr, size_t(st.st_size), PROT_READ, MAP_SHARED, fd, 0);
    close(fd);
    if (p == MAP_FAILED) give_up("cannot map " + path);
    const sgd::Header* header = static_cast<const sgd::Header*>(p);
    if (const char* e = sgd::headerError(*header, uint64_t(st.st_size))) give_up(path + ": " + e);
    return { header, reinterpret_cast<const sgd::Row*>(static_cast<const char*>(p) + sgd::kDataOffset) };
}

// Memory that nobody has touched yet, in huge pages where there are some.
template <class T>
T* allocate(size_t count)
{
    constexpr size_t huge = 2 << 20;
    const size_t bytes = (count * sizeof(T) + huge) / huge * huge;
    void* p = std::aligned_alloc(huge, bytes);
    if (!p) give_up("no memory");
    madvise(p, bytes, MADV_HUGEPAGE);
    return static_cast<T*>(p);
}
