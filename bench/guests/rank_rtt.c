/* rank-rtt: rank_rtt RANKS [groups] [group]. One call at a time to another rank and back, with 0, 64
 * and 4096 bytes as input and output. One sample a group: ns per round trip. */
#include <faasm/faasm.h>

#include "ranks.h"

static uint8_t sent[4096], got[4096];

FAASM_FUNC(echo, 1)
{
    long len = faasmGetInputSize();
    faasmGetInput(got, sizeof got);
    faasmSetOutput(got, len);
    return 0;
}

/* Mean of a group of round trips, s. */
static double group_of(struct part* to, long len, long group)
{
    double start = now();
    for (long i = 0; i < group; i++) {
        unsigned int id = mobulaChainAt(to->key, to->offset, 1, sent, len);
        if (faasmAwaitCallOutput(id, got, len) != 0) {
            abort();
        }
    }
    double mean = (now() - start) / (double)group;
    if (len > 0 && memcmp(sent, got, (size_t)len) != 0) {
        abort();
    }
    return mean;
}

FAASM_MAIN_FUNC()
{
    static const long sizes[] = { 0, 64, 4096 };
    long ranks = argument(argc, argv, 1, 2);
    long groups = argument(argc, argv, 2, 100);
    long group = argument(argc, argv, 3, 100);
    char metric[32];
    struct part far;
    memset(sent, 7, sizeof sent);
    if (!find_far(&far, ranks, (1 << 20) + CHUNK)) {
        /* Nothing is at home elsewhere: said, so that nobody takes these for calls to a rank. */
        printf("nothing is far\n");
    }
    for (int s = 0; s < 3; s++) {
        snprintf(metric, sizeof metric, "round-trip-%ld-bytes", sizes[s]);
        for (long g = -groups / 4 - 1; g < groups; g++) {
            double mean = group_of(&far, sizes[s], group);
            if (g >= 0) {
                sample(metric, "ns", mean * 1e9);
            }
        }
    }
    return 0;
}
