/* Whether a descriptor is open; for functions that cannot do more. */
#include "posix.h"

#include <fcntl.h>

int __mobula_refused_fd(int fd, int error)
{
    return fcntl(fd, F_GETFL) < 0 ? -1 : refused(error); /* EBADF is set */
}
