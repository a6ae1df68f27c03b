/* Everything a function usually needs: entries, chaining, state (core.h). */
#ifndef FAASM_FAASM_H
#define FAASM_FAASM_H

#include "faasm/core.h"

#endif
