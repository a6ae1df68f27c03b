/* Faasm's header of this name keeps one of its runtimes from shrinking a module's memory. There is
 * nothing to keep from here; it is included by programs, so it is there. */
#ifndef FAASM_MEMORY_H
#define FAASM_MEMORY_H

#include "faasm/core.h"

#endif
