// All headers that are ours or completed by us, together with those of C++.
#include <arpa/inet.h>
#include <dlfcn.h>
#include <grp.h>
#include <netdb.h>
#include <pthread.h>
#include <pwd.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <syslog.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

int main()
{
    std::vector<std::string> wrong;
    if (::system("true") != -1 || errno != ENOSYS) wrong.push_back("system");
    if (::socket(AF_INET, SOCK_STREAM, 0) != -1 || errno != EAFNOSUPPORT) wrong.push_back("socket");
    if (::getuid() != 0) wrong.push_back("getuid");
    for (const std::string& name : wrong) std::cout << "wrong: " << name << "\n";
    std::cout << "headers " << (wrong.empty() ? "ok" : "bad") << std::endl;
    return wrong.empty() ? 0 : 1;
}
