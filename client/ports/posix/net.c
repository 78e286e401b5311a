/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client/hal.h"

static struct {
    int fd;
    bool tcp;
} net = {.fd = -1};

static int socket_to(const struct addrinfo *ai)
{
    int on = 1, fd = socket(ai->ai_family, ai->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd >= 0 && ai->ai_socktype == SOCK_STREAM) {
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    }
    if (fd >= 0 && connect(fd, ai->ai_addr, ai->ai_addrlen) != 0 && errno != EINPROGRESS) {
        close(fd);
        return -1;
    }
    return fd;
}

bool hal_net_open(enum hal_net kind, const char *host, uint16_t port)
{
    struct addrinfo hints = {.ai_socktype = kind == HAL_NET_TCP ? SOCK_STREAM : SOCK_DGRAM},
                    *list = NULL;
    char service[8];

    hal_net_close();
    snprintf(service, sizeof service, "%u", port);
    if (getaddrinfo(host, service, &hints, &list) != 0) {
        return false;
    }
    for (const struct addrinfo *ai = list; ai != NULL && net.fd < 0; ai = ai->ai_next) {
        net.fd = socket_to(ai);
    }
    freeaddrinfo(list);
    net.tcp = kind == HAL_NET_TCP;
    return net.fd >= 0;
}

void hal_net_close(void)
{
    if (net.fd >= 0) {
        close(net.fd);
    }
    net.fd = -1;
}

static int outcome(ssize_t n)
{
    if (n > 0) {
        return (int)n;
    }
    if (n == 0) {
        return net.tcp ? -1 : 0;
    }
    if (errno == EAGAIN || errno == EINTR || errno == ENOTCONN) {
        return 0;
    }
    /* a datagram that nobody takes is lost, no more: the server may come back */
    return net.tcp ? -1 : 0;
}

int hal_net_send(const void *buf, size_t len)
{
    if (net.fd < 0) {
        return -1;
    }
    ssize_t n = send(net.fd, buf, len, MSG_NOSIGNAL);
    if (n < 0 && !net.tcp) {
        return (int)len; /* lost */
    }
    return outcome(n);
}

int hal_net_recv(void *buf, size_t cap)
{
    return net.fd < 0 ? -1 : outcome(recv(net.fd, buf, cap, 0));
}

void hal_idle(uint32_t ms)
{
    struct pollfd p = {.fd = net.fd, .events = POLLIN};

    (void)poll(&p, net.fd >= 0 ? 1 : 0, ms > INT32_MAX ? INT32_MAX : (int)ms);
}

void hal_net_address(char *buf, size_t cap)
{
    struct sockaddr_storage sa = {0};
    socklen_t len = sizeof sa;
    const void *addr = &((struct sockaddr_in *)&sa)->sin_addr;

    buf[0] = '\0';
    if (net.fd < 0 || getsockname(net.fd, (struct sockaddr *)&sa, &len) != 0) {
        return;
    }
    if (sa.ss_family == AF_INET6) {
        addr = &((struct sockaddr_in6 *)&sa)->sin6_addr;
    }
    if (inet_ntop(sa.ss_family, addr, buf, (socklen_t)cap) == NULL) {
        buf[0] = '\0';
    }
}
