/* Whole files of the guest's file system (mobula run --dir). */
#ifndef FAASM_FILES_H
#define FAASM_FILES_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <limits>

namespace faasm {

/* Bytes of the file; -1, with errno set, when there is none or a long cannot say it. */
inline long getFileLength(const char* path)
{
    struct stat info;
    if (stat(path, &info) != 0) {
        return -1;
    }
    if (info.st_size > std::numeric_limits<long>::max()) {
        errno = EFBIG;
        return -1;
    }
    return static_cast<long>(info.st_size);
}

/* The file's bytes with a NUL after them, or nullptr. The caller frees it with free(). */
inline char* readFileToString(const char* path)
{
    const long length = getFileLength(path);
    FILE* file = length < 0 ? nullptr : fopen(path, "rb");
    if (file == nullptr) {
        return nullptr;
    }
    char* text = static_cast<char*>(malloc(static_cast<size_t>(length) + 1));
    if (text != nullptr) {
        const size_t read = fread(text, 1, static_cast<size_t>(length), file);
        text[read] = '\0';
        if (read != static_cast<size_t>(length)) { /* it has become shorter, or is no plain file */
            free(text);
            text = nullptr;
        }
    }
    fclose(file);
    return text;
}

} // namespace faasm

#endif
