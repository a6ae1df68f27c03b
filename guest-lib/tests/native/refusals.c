// What a call asks and cannot have ends that call only, with -101 for its parent and a line on
// stderr. The last line is printed when every refusal came as it should.
#include <faasm/faasm.h>

#include <stdio.h>

enum { SIZE = 16, TRAPPED = -101 };

static unsigned int foreign;

static void awaitTwice(void)
{
    const unsigned int id = faasmChainThis(3);
    faasmAwaitCall(id);
    faasmAwaitCall(id);
}

static void resizeWithWindow(void)
{
    uint8_t bytes[4] = { 0 };
    faasmReadStatePtr("open", SIZE);
    faasmWriteState("open", bytes, sizeof bytes);
}

static void deleteWithWindow(void)
{
    faasmReadStatePtr("open2", SIZE);
    mobulaStateDelete("open2");
}

static void otherMask(void)
{
    mobulaStateCreate("mask", SIZE / 2);
    faasmPushStatePartialMask("value", "mask");
}

static void tooManyRecords(void)
{
    uint8_t buffer[8];
    faasmAppendState("log", BYTES_CONST("one"), 3);
    faasmReadAppendedState("log", buffer, sizeof buffer, 2);
}

static void lockTwice(void)
{
    faasmLockStateRead("lock");
    faasmLockStateWrite("lock");
}

static void outputOfLoop(void)
{
    uint8_t byte;
    faasmAwaitCallOutput(mobulaChainRange(3, 0, 8, 1, 0, 0), &byte, 1);
}

static void unmapNothing(void)
{
    int here;
    mobulaUnmap(&here);
}

static void refuse(int which)
{
    static const unsigned int none[2] = { 0, 0 };
    static const double one = 1;
    char key[300];
    memset(key, 'k', sizeof key - 1);
    key[sizeof key - 1] = '\0';
    switch (which) {
    case 0: faasmReadStateSize(""); break;
    case 1: faasmReadStateSize(key); break;
    case 2: faasmReadStatePtr("value", SIZE + 1); break;
    case 3: faasmReadStateOffsetPtr("value", SIZE, 8, 9); break;
    case 4: faasmFlagStateOffsetDirty("value", SIZE, -1, 2); break;
    case 5: faasmPushState("nobody wrote this"); break;
    case 6: faasmAwaitCall(foreign); break;
    case 7: awaitTwice(); break;
    case 8: faasmChainThis(99); break;
    case 9: faasmChainFunction("nothing"); break;
    case 10: resizeWithWindow(); break;
    case 11: otherMask(); break;
    case 12: tooManyRecords(); break;
    case 13: faasmUnlockStateGlobal("lock"); break;
    case 14: lockTwice(); break;
    case 15: mobulaAwaitAny(none, 2); break;
    case 16: mobulaChainRange(3, 5, 4, 1, 0, 0); break;
    case 17: outputOfLoop(); break;
    case 18: deleteWithWindow(); break;
    case 19: mobulaPushMerge("value", 9, MOBULA_SUM); break;
    case 20: mobulaMergeState("value", SIZE, 4, &one, 8, MOBULA_F64, MOBULA_SUM); break;
    case 21: unmapNothing(); break;
    case 22: faasmSetOutput("", -5); break;
    default: break;
    }
}

enum { REFUSALS = 23 };

FAASM_FUNC(ask, 1)
{
    int which = 0;
    faasmGetInput(BYTES(&which), sizeof which);
    faasmLockStateWrite("released");
    refuse(which);
    return 0;
}

FAASM_FUNC(quit, 2)
{
    exit(7); // ends this call
}

FAASM_FUNC(nothing, 3)
{
    return 0;
}

FAASM_MAIN_FUNC()
{
    int wrong = 0;
    mobulaStateCreate("value", SIZE);
    for (int i = 0; i < REFUSALS; i++) {
        foreign = faasmChainThis(3);
        const int code = (int)faasmAwaitCall(faasmChainThisInput(1, BYTES(&i), sizeof i));
        if (code != TRAPPED) {
            printf("refusal %d gave %d\n", i, code);
            wrong = 1;
        }
        faasmAwaitCall(foreign);
    }
    wrong |= faasmAwaitCall(faasmChainThis(2)) != 7;
    // All is given back: locks, windows.
    faasmLockStateWrite("released");
    mobulaStateDelete("open");
    mobulaStateDelete("open2");
    printf("%d refusals\n", wrong ? -1 : REFUSALS);
    faasmAwaitCall(0x12345); // ends main with 101
    return 0;
}
