/* Peers of the benchmarks over ranks, in C with MPI:
 *
 *   ping-pong BYTES N           there and back between the first and the last rank
 *   bandwidth BYTES N           a message to the last rank, an empty one back
 *   fan-out CALLS STEPS N       rank 0 sends tasks of work to all ranks and collects the results
 *   metg PATTERN POINTS         the grid of metg.h with POINTS points on each rank
 *   startup                     the time when MPI is ready
 *
 * Rank 0 prints, as guests do, a line a sample.
 */
#include <mpi.h>

#include "../guests/metg.h"

static int rank, ranks;

static double median(double* values, long n)
{
    for (long i = 1; i < n; i++) {
        double value = values[i];
        long k = i;
        for (; k > 0 && values[k - 1] > value; k--) {
            values[k] = values[k - 1];
        }
        values[k] = value;
    }
    return values[n / 2];
}

static char* buffer(long bytes)
{
    char* memory = malloc(bytes > 0 ? (size_t)bytes : 1);
    if (memory == NULL) {
        MPI_Abort(MPI_COMM_WORLD, 1);
    }
    memset(memory, rank + 1, (size_t)bytes);
    return memory;
}

/* Groups of `group` round trips: the median of their means, and the mean over all. */
static void ping_pong(long bytes, long groups, long group)
{
    char* memory = buffer(bytes);
    double* means = malloc(sizeof(double) * (size_t)groups);
    double sum = 0;
    char metric[64];
    int last = ranks - 1;
    for (long g = -groups / 4 - 1; g < groups; g++) {
        double start = now();
        for (long i = 0; i < group; i++) {
            if (rank == 0) {
                MPI_Send(memory, (int)bytes, MPI_BYTE, last, 0, MPI_COMM_WORLD);
                MPI_Recv(memory, (int)bytes, MPI_BYTE, last, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
            } else if (rank == last) {
                MPI_Recv(memory, (int)bytes, MPI_BYTE, 0, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
                MPI_Send(memory, (int)bytes, MPI_BYTE, 0, 0, MPI_COMM_WORLD);
            }
        }
        double ns = (now() - start) * 1e9 / (double)group;
        if (rank == 0 && g >= 0) {
            snprintf(metric, sizeof metric, "round-trip-%ld-bytes", bytes);
            sample(metric, "ns", ns);
            means[g] = ns;
            sum += ns;
        }
    }
    if (rank == 0) {
        printf("median %.9g ns mean %.9g ns\n", median(means, groups), sum / (double)groups);
    }
    free(means);
    free(memory);
}

static void bandwidth(long bytes, long repetitions)
{
    char* memory = buffer(bytes);
    char metric[64];
    int last = ranks - 1;
    long first = -repetitions / 4 - 1;
    /* An empty message first, since connections are made with the first one. */
    for (long r = first - 1; r < repetitions; r++) {
        long now_bytes = r < first ? 0 : bytes;
        double start = now();
        if (rank == 0) {
            MPI_Send(memory, (int)now_bytes, MPI_BYTE, last, 0, MPI_COMM_WORLD);
            MPI_Recv(NULL, 0, MPI_BYTE, last, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
        } else if (rank == last) {
            MPI_Recv(memory, (int)now_bytes, MPI_BYTE, 0, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
            MPI_Send(NULL, 0, MPI_BYTE, 0, 0, MPI_COMM_WORLD);
        }
        double took = now() - start;
        if (rank == 0 && (r == first || r >= 0)) {
            snprintf(metric, sizeof metric, "%s%ld-KiB", r == first ? "first-" : "", bytes >> 10);
            sample(metric, "GB/s", (double)bytes / took / 1e9);
        }
    }
    if (rank == last && bytes > 0 && (memory[0] != 1 || memory[bytes - 1] != 1)) {
        MPI_Abort(MPI_COMM_WORLD, 1);
    }
    free(memory);
}

/* A message for each task and one for each result, dealt out in turns; rank 0 works too, and lets MPI move
 * results between its own tasks. */
static void fan_out(long calls, long steps, long repetitions)
{
    long* results = malloc(sizeof(long) * (size_t)calls);
    MPI_Request* pending = malloc(2 * sizeof(MPI_Request) * (size_t)calls);
    char* bad = calloc(1, 1);
    for (long r = -repetitions / 4 - 1; r < repetitions; r++) {
        double start = now();
        if (rank == 0) {
            int waiting = 0, flag = 0;
            for (long i = 0; i < calls; i++) {
                int to = (int)(i % ranks);
                if (to != 0) {
                    MPI_Irecv(&results[i], 1, MPI_LONG, to, 1, MPI_COMM_WORLD, &pending[waiting++]);
                    MPI_Isend(&steps, 1, MPI_LONG, to, 0, MPI_COMM_WORLD, &pending[waiting++]);
                }
            }
            for (long i = 0; i < calls; i += ranks) {
                results[i] = spin(steps) == 0;
                if (steps > 0 && ranks > 1) {
                    MPI_Iprobe(MPI_ANY_SOURCE, 1, MPI_COMM_WORLD, &flag, MPI_STATUS_IGNORE);
                }
            }
            MPI_Waitall(waiting, pending, MPI_STATUSES_IGNORE);
            for (long i = 0; i < calls; i++) {
                *bad |= results[i] != 0;
            }
            if (r >= 0) {
                sample("call", "us", (now() - start) * 1e6 / (double)calls);
            }
        } else {
            int waiting = 0;
            for (long i = rank; i < calls; i += ranks) {
                long work = 0;
                MPI_Recv(&work, 1, MPI_LONG, 0, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
                results[i] = spin(work) == 0;
                MPI_Isend(&results[i], 1, MPI_LONG, 0, 1, MPI_COMM_WORLD, &pending[waiting++]);
            }
            MPI_Waitall(waiting, pending, MPI_STATUSES_IGNORE);
        }
    }
    if (*bad) {
        MPI_Abort(MPI_COMM_WORLD, 1);
    }
    free(bad);
    free(pending);
    free(results);
}

/* Gives other ranks the values of this row that they need: edges to neighbours, all to all. */
static void exchange(int pattern, uint64_t* row, long each)
{
    long from = rank * each;
    int left = rank > 0 ? rank - 1 : MPI_PROC_NULL;
    int right = rank + 1 < ranks ? rank + 1 : MPI_PROC_NULL;
    if (pattern == STENCIL) {
        MPI_Request pending[4];
        MPI_Irecv(row + (left < 0 ? 0 : from - 1), 1, MPI_UINT64_T, left, 0, MPI_COMM_WORLD, pending);
        MPI_Irecv(row + (right < 0 ? 0 : from + each), 1, MPI_UINT64_T, right, 0, MPI_COMM_WORLD,
                  pending + 1);
        MPI_Isend(row + from, 1, MPI_UINT64_T, left, 0, MPI_COMM_WORLD, pending + 2);
        MPI_Isend(row + from + each - 1, 1, MPI_UINT64_T, right, 0, MPI_COMM_WORLD, pending + 3);
        MPI_Waitall(4, pending, MPI_STATUSES_IGNORE);
    } else if (pattern == ALL_TO_ALL) {
        MPI_Allgather(MPI_IN_PLACE, 0, MPI_DATATYPE_NULL, row, (int)each, MPI_UINT64_T,
                      MPI_COMM_WORLD);
    }
}

static double grid(int pattern, long work, long rows, long each, uint64_t* check)
{
    long points = each * ranks;
    uint64_t* before = calloc((size_t)points, sizeof(uint64_t));
    uint64_t* row = calloc((size_t)points, sizeof(uint64_t));
    MPI_Barrier(MPI_COMM_WORLD);
    double start = now();
    for (long t = 0; t < rows; t++) {
        for (long i = rank * each; i < (rank + 1) * each; i++) {
            row[i] = task(work, needed(pattern, before, points, i), i);
        }
        exchange(pattern, row, each);
        uint64_t* swap = before;
        before = row;
        row = swap;
    }
    MPI_Barrier(MPI_COMM_WORLD);
    double took = now() - start;
    uint64_t sum = 0, all = 0;
    for (long i = rank * each; i < (rank + 1) * each; i++) {
        sum += before[i];
    }
    MPI_Reduce(&sum, &all, 1, MPI_UINT64_T, MPI_SUM, 0, MPI_COMM_WORLD);
    *check = *check * 31 + all;
    free(before);
    free(row);
    return took;
}

static void metg(const char* name, long each)
{
    int pattern = pattern_of(name);
    double seconds[LENGTHS][TRIES], steps = steps_in_us();
    uint64_t check = 0, ignored = 0;
    if (pattern < 0 || each < 1) {
        MPI_Abort(MPI_COMM_WORLD, 2);
    }
    /* One rate for all, rank 0's: ranks that share a core measure less than it has. */
    MPI_Bcast(&steps, 1, MPI_DOUBLE, 0, MPI_COMM_WORLD);
    grid(pattern, 0, 100, each, &ignored);
    for (int try = 0; try < TRIES; try++) {
        for (int k = 0; k < LENGTHS; k++) {
            seconds[k][try] = grid(pattern, (long)(lengths[k] * steps), rows_of(k), each, &check);
        }
    }
    if (rank == 0) {
        report(name, seconds, each * ranks);
        printf("check %llu\n", (unsigned long long)check);
    }
}

int main(int argc, char** argv)
{
    const char* mode = argc > 1 ? argv[1] : "";
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    long first = argument(argc, argv, 2, 0);
    int known = 1;
    if (strcmp(mode, "startup") == 0) {
        struct timespec t;
        clock_gettime(CLOCK_REALTIME, &t);
        if (rank == 0) {
            printf("started %lld%09ld\n", (long long)t.tv_sec, t.tv_nsec);
        }
    } else if (strcmp(mode, "ping-pong") == 0 && ranks > 1) {
        ping_pong(first, argument(argc, argv, 3, 100), argument(argc, argv, 4, 100));
    } else if (strcmp(mode, "bandwidth") == 0 && ranks > 1) {
        bandwidth(first, argument(argc, argv, 3, 20));
    } else if (strcmp(mode, "fan-out") == 0) {
        fan_out(first, argument(argc, argv, 3, 0), argument(argc, argv, 4, 20));
    } else if (strcmp(mode, "metg") == 0 && argc > 2) {
        metg(argv[2], argument(argc, argv, 3, ranks));
    } else {
        known = 0;
        if (rank == 0) {
            fprintf(stderr, "mpi_peer: no such mode, or it needs two ranks: %s\n", mode);
        }
    }
    MPI_Finalize();
    return known ? 0 : 2;
}
