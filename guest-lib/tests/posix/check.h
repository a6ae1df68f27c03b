/* Checks that say where they failed. */
#pragma once

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(what)                                                                                \
    do {                                                                                           \
        if (!(what)) {                                                                             \
            printf("%s:%d: not so: %s (errno %d, %s)\n", __FILE__, __LINE__, #what, errno,         \
                   strerror(errno));                                                               \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

/* The call gives -1 with that errno. */
#define REFUSED(call, error)                                                                       \
    do {                                                                                           \
        errno = 0;                                                                                 \
        CHECK((call) == -1);                                                                       \
        CHECK(errno == (error));                                                                   \
    } while (0)

/* The call gives NULL with that errno. */
#define NOTHING(call, error)                                                                       \
    do {                                                                                           \
        errno = 0;                                                                                 \
        CHECK((call) == NULL);                                                                     \
        CHECK(errno == (error));                                                                   \
    } while (0)
