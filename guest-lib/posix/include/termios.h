/* Terminals, whose modes WASI cannot change. */
#ifndef MOBULA_TERMIOS_H
#define MOBULA_TERMIOS_H

typedef unsigned char cc_t;
typedef unsigned int speed_t, tcflag_t;
#define NCCS 32
struct termios {
    tcflag_t c_iflag, c_oflag, c_cflag, c_lflag;
    cc_t c_line, c_cc[NCCS];
    speed_t c_ispeed, c_ospeed;
};
#define TCSANOW 0
#define TCSADRAIN 1
#define TCSAFLUSH 2
#define VTIME 5
#define VMIN 6
#define ICRNL 0000400
#define IXON 0002000
#define OPOST 0000001
#define ISIG 0000001
#define ICANON 0000002
#define ECHO 0000010
#define IEXTEN 0100000

#ifdef __cplusplus
extern "C" {
#endif

int tcgetattr(int fd, struct termios* modes);
int tcsetattr(int fd, int when, const struct termios* modes);

#ifdef __cplusplus
}
#endif

#endif
