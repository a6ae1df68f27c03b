// What the guest and the native peer say and are told: options, one line per epoch, the result
// as JSON. No algorithm here; that is sgd_core.h.
#pragma once

#include "sgd_core.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string>
#include <vector>

namespace sgd {

struct Options {
    int epochs = 12;
    int workers = 0;          // native: threads; guest: calls in flight; 0: all
    int blocks = 16;          // ranges of training rows per epoch, each one call
    uint32_t stretch = 256;    // rows between two exchanges with the shared weights
    float lr = 0.007f;
    double lambda = 1e-5;
    bool progress = false;
    bool quiet = false;
};

inline const char* kUsage =
    "  --epochs N    passes over the training rows (12)\n"
    "  --workers N   native: threads; guest: calls in flight; 0 leaves it to the runtime (0)\n"
    "  --blocks N    ranges of rows per epoch, one call each (16)\n"
    "  --lr X        step of the first epoch; it falls linearly (0.007)\n"
    "  --stretch N   rows between two exchanges of a worker with the shared weights (256)\n"
    "  --lambda X    ridge (0.00001)\n"
    "  --progress    show the epoch under way on stderr, also when that is no terminal\n"
    "  --quiet       no line per epoch\n";

// Reads one number option into place; false when it is no number or out of range.
template <class T>
bool number(const char* text, double low, double high, T* out)
{
    char* end = nullptr;
    const double v = text ? std::strtod(text, &end) : 0;
    if (!text || end == text || *end || !(v >= low && v <= high)) return false;
    *out = T(v);
    return true;
}

// Returns what is wrong, or an empty string. `skip` takes options that only one side has:
// it returns how many arguments it took.
template <class Skip>
std::string parse(int argc, char** argv, Options* o, Skip skip)
{
    for (int i = 1; i < argc;) {
        const std::string name = argv[i];
        const char* value = i + 1 < argc ? argv[i + 1] : nullptr;
        bool good;
        if (name == "--epochs") good = number(value, 1, 10000, &o->epochs);
        else if (name == "--workers") good = number(value, 0, 4096, &o->workers);
        else if (name == "--blocks") good = number(value, 1, 4096, &o->blocks);
        else if (name == "--stretch") good = number(value, 1, 1e9, &o->stretch);
        else if (name == "--lr") good = number(value, 1e-9, 1, &o->lr);
        else if (name == "--lambda") good = number(value, 1e-12, 1, &o->lambda);
        else if (name == "--progress") { o->progress = true; i++; continue; }
        else if (name == "--quiet") { o->quiet = true; i++; continue; }
        else if (int taken = skip(name, value)) { i += taken; continue; }
        else return "unknown option " + name;
        if (!good) return name + " needs a number in its range, not " + (value ? value : "nothing");
        i += 2;
    }
    return "";
}

inline double now()
{
    timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return double(t.tv_sec) + 1e-9 * double(t.tv_nsec);
}

struct Epoch {
    double trainLoss = 0;     // mean log loss over the training rows
    double objective = 0;     // the same with the ridge: what is minimised
    double testLoss = 0, accuracy = 0, auc = 0;
    double seconds = 0;       // of training alone
};

inline Epoch epochOf(const Totals& in, const Totals& out, uint32_t rows, uint32_t testRows,
                     double penalty, double auc, double seconds)
{
    Epoch e;
    e.trainLoss = in.loss / rows;
    e.objective = e.trainLoss + penalty;
    e.testLoss = out.loss / testRows;
    e.accuracy = double(out.correct) / testRows;
    e.auc = auc;
    e.seconds = seconds;
    return e;
}

struct Report {
    Options options;
    uint32_t trainRows = 0, testRows = 0, features = 0;
    double evaluation = 0, total = 0;
    std::vector<Epoch> epochs;

    void title() const
    {
        if (options.quiet) return;
        std::printf("%u training rows, %u held out, %u weights; %d epochs of %d ranges\n",
                    trainRows, testRows, features, options.epochs, options.blocks);
        std::printf("epoch  train loss  held-out loss  accuracy     AUC  examples/s\n");
        std::fflush(stdout);
    }

    void add(const Epoch& e)
    {
        epochs.push_back(e);
        if (options.quiet) return;
        std::printf("%5d  %10.6f  %13.6f  %8.4f  %6.4f  %8.2f M\n", int(epochs.size()), e.trainLoss,
                    e.testLoss, e.accuracy, e.auc, trainRows / e.seconds / 1e6);
        std::fflush(stdout);
    }

    double trainSeconds() const
    {
        double s = 0;
        for (const Epoch& e : epochs) s += e.seconds;
        return s;
    }

    std::string json(const char* engine) const
    {
        char line[512];
        std::snprintf(line, sizeof line,
                      "{\"engine\":\"%s\",\"workers\":%d,\"blocks\":%d,\"lr\":%.9g,\"lambda\":%.9g,"
                      "\"train_rows\":%u,\"test_rows\":%u,\"features\":%u,\"train_seconds\":%.9f,"
                      "\"evaluation_seconds\":%.9f,\"total_seconds\":%.9f,\"epochs\":[",
                      engine, options.workers, options.blocks, double(options.lr),
                      options.lambda, trainRows, testRows, features, trainSeconds(), evaluation,
                      total);
        std::string out = line;
        for (size_t i = 0; i < epochs.size(); i++) {
            const Epoch& e = epochs[i];
            std::snprintf(line, sizeof line,
                          "%s{\"seconds\":%.9f,\"train_loss\":%.12g,\"objective\":%.12g,"
                          "\"test_loss\":%.12g,\"accuracy\":%.12g,\"auc\":%.12g}",
                          i ? "," : "", e.seconds, e.trainLoss, e.objective, e.testLoss, e.accuracy,
                          e.auc);
            out += line;
        }
        return out + "]}\n";
    }
};

} // namespace sgd
