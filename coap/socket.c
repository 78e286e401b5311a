/* SPDX-License-Identifier: Apache-2.0 */
#include "coap/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/sock_diag.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

/* Bytes asked of the kernel; it doubles them, and a small datagram counts about 800. */
#define RCVBUF_WANTED  (8 << 20)
#define SNDBUF_WANTED  (4 << 20)
/* Connections that wait to be accepted; the kernel's own maximum applies. */
#define LISTEN_BACKLOG 1024

/* One control message of the largest kind that we send or read. */
#define CTL_BYTES CMSG_SPACE(sizeof(struct in6_pktinfo))

union ctl {
    struct cmsghdr align;
    uint8_t bytes[CTL_BYTES];
};

struct slot {
    struct iovec iov;
    union cx_addr name;
    union ctl ctl;
};

struct cx_sock {
    int fd;
    sa_family_t family;
    uint8_t number;
    bool wildcard; /* bound to no single address: pktinfo both ways */
    uint8_t bound[16];

    unsigned tx_head, tx_count; /* slots [head, head + count) wait, modulo CX_TX_SLOTS_MAX */
    bool tx_blocked;
    cx_sock_filter_fn *filter;
    void *filter_data;

    struct cx_sock_stats stats;

    struct cx_dgram dgrams[CX_BATCH];
    struct mmsghdr rx_msgs[CX_BATCH];
    struct slot rx[CX_BATCH];
    struct mmsghdr tx_msgs[CX_TX_SLOTS_MAX];
    struct slot tx[CX_TX_SLOTS_MAX];
    uint8_t rx_bytes[CX_BATCH][CX_DGRAM_MAX];
    uint8_t tx_bytes[CX_TX_SLOTS_MAX][CX_DGRAM_MAX];
};

static const uint8_t V4_MAPPED[12] = {[10] = 0xff, [11] = 0xff};

static bool is_v4(const uint8_t addr[16])
{
    return memcmp(addr, V4_MAPPED, sizeof(V4_MAPPED)) == 0;
}

static bool is_any(const uint8_t addr[16])
{
    static const uint8_t zero[16];

    return memcmp(addr, zero, 16) == 0 || (is_v4(addr) && memcmp(addr + 12, zero, 4) == 0);
}

static bool is_link_local(const uint8_t addr[16])
{
    return addr[0] == 0xfe && (addr[1] & 0xc0) == 0x80;
}

static void put_v4(uint8_t addr[16], struct in_addr in)
{
    memcpy(addr, V4_MAPPED, sizeof(V4_MAPPED));
    memcpy(addr + 12, &in, 4);
}

static void addr_bytes(const union cx_addr *a, uint8_t ret[16])
{
    if (a->sa.sa_family == AF_INET) {
        put_v4(ret, a->in4.sin_addr);
    } else if (a->sa.sa_family == AF_INET6) {
        memcpy(ret, &a->in6.sin6_addr, 16);
    } else {
        memset(ret, 0, 16);
    }
}

static void addr_from_bytes(const uint8_t bytes[16], uint16_t port, uint32_t scope,
                            union cx_addr *ret)
{
    memset(ret, 0, sizeof(*ret));
    if (is_v4(bytes)) {
        ret->in4.sin_family = AF_INET;
        ret->in4.sin_port = port;
        memcpy(&ret->in4.sin_addr, bytes + 12, 4);
    } else {
        ret->in6.sin6_family = AF_INET6;
        ret->in6.sin6_port = port;
        ret->in6.sin6_scope_id = scope;
        memcpy(&ret->in6.sin6_addr, bytes, 16);
    }
}

void cx_flow_set(struct cx_flow *flow, uint8_t sock, const union cx_addr *remote,
                 const union cx_addr *local)
{
    dr_assert(flow != NULL && remote != NULL && local != NULL);
    memset(flow, 0, sizeof(*flow));
    flow->sock = sock;
    addr_bytes(remote, flow->remote);
    addr_bytes(local, flow->local);
    flow->remote_port =
        remote->sa.sa_family == AF_INET ? remote->in4.sin_port : remote->in6.sin6_port;
    if (remote->sa.sa_family == AF_INET6 && is_link_local(flow->remote)) {
        flow->scope = remote->in6.sin6_scope_id;
    }
}

void cx_flow_remote(const struct cx_flow *flow, union cx_addr *ret)
{
    dr_assert(flow != NULL && ret != NULL);
    addr_from_bytes(flow->remote, flow->remote_port, flow->scope, ret);
}

void cx_flow_local(const struct cx_flow *flow, union cx_addr *ret)
{
    dr_assert(flow != NULL && ret != NULL);
    addr_from_bytes(flow->local, 0, flow->scope, ret);
}

/* ---- set-up ---- */

static void set_int(int fd, int level, int name, int value)
{
    /* Every option set by this is an improvement only: a kernel without it is served all the
     * same. */
    (void)setsockopt(fd, level, name, &value, sizeof(value));
}

/* The FORCE forms need CAP_NET_ADMIN; without it the system's maximum applies. */
static void raise_buffers(int fd)
{
    int rcv = RCVBUF_WANTED;
    int snd = SNDBUF_WANTED;

    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &rcv, sizeof(rcv)) != 0) {
        set_int(fd, SOL_SOCKET, SO_RCVBUF, rcv);
    }
    if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &snd, sizeof(snd)) != 0) {
        set_int(fd, SOL_SOCKET, SO_SNDBUF, snd);
    }
}

/* Datagrams of ours fit into any path (CX_MSG_MAX): never fragment them, and do not let ICMP talk
 * us into smaller ones. Without fragments the kernel need not draw an IP identification either,
 * which costs a cache miss for each datagram. */
static void set_path_mtu(const struct cx_sock *s)
{
    set_int(s->fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE);
    if (s->family == AF_INET6) {
        set_int(s->fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_PROBE);
    }
}

static void prepare_slots(struct cx_sock *s)
{
    for (unsigned i = 0; i < CX_BATCH; i++) {
        struct slot *x = &s->rx[i];

        x->iov = (struct iovec){s->rx_bytes[i], CX_DGRAM_MAX};
        s->rx_msgs[i].msg_hdr = (struct msghdr){.msg_name = &x->name,
                                                .msg_namelen = sizeof(x->name),
                                                .msg_iov = &x->iov,
                                                .msg_iovlen = 1,
                                                .msg_control = x->ctl.bytes,
                                                .msg_controllen = CTL_BYTES};
        s->dgrams[i].data = s->rx_bytes[i];
        s->dgrams[i].flow.sock = s->number;
    }
    for (unsigned i = 0; i < CX_TX_SLOTS_MAX; i++) {
        struct slot *x = &s->tx[i];

        x->iov = (struct iovec){s->tx_bytes[i], 0};
        s->tx_msgs[i].msg_hdr =
            (struct msghdr){.msg_name = &x->name, .msg_iov = &x->iov, .msg_iovlen = 1};
    }
}

static dr_err_t learn_bound(struct cx_sock *s)
{
    union cx_addr a = {0};
    socklen_t len = sizeof(a);
    int type = 0;
    socklen_t type_len = sizeof(type);

    if (getsockname(s->fd, &a.sa, &len) != 0 ||
        getsockopt(s->fd, SOL_SOCKET, SO_TYPE, &type, &type_len) != 0 || type != SOCK_DGRAM ||
        (a.sa.sa_family != AF_INET && a.sa.sa_family != AF_INET6)) {
        return DR_ERR_IO;
    }
    s->family = a.sa.sa_family;
    addr_bytes(&a, s->bound);
    s->wildcard = is_any(s->bound);
    return DR_OK;
}

dr_err_t cx_sock_new(int fd, uint8_t number, struct cx_sock **ret)
{
    dr_assert(fd >= 0 && ret != NULL);
    struct cx_sock *s = calloc(1, sizeof(*s));
    int flags = fcntl(fd, F_GETFL);

    if (s == NULL) {
        return DR_ERR_NOMEM;
    }
    s->fd = fd;
    s->number = number;
    dr_err_t err = learn_bound(s);
    if (err == DR_OK && (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0)) {
        err = DR_ERR_IO;
    }
    if (err != DR_OK) {
        free(s);
        return err;
    }
    raise_buffers(fd);
    set_path_mtu(s);
    if (s->wildcard && s->family == AF_INET) {
        set_int(fd, IPPROTO_IP, IP_PKTINFO, 1);
    } else if (s->wildcard) {
        set_int(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
    }
    prepare_slots(s);
    *ret = s;
    return DR_OK;
}

struct cx_sock *cx_sock_free(struct cx_sock *s)
{
    if (s != NULL) {
        (void)close(s->fd);
        free(s);
    }
    return NULL;
}

void cx_sock_release(struct cx_sock *s)
{
    dr_assert(s != NULL);
    free(s);
}

sa_family_t cx_sock_family(const struct cx_sock *s)
{
    dr_assert(s != NULL);
    return s->family;
}

void cx_sock_localize(const struct cx_sock *s, struct cx_flow *flow)
{
    dr_assert(s != NULL && flow != NULL);
    union cx_addr a;
    socklen_t len = sizeof(a);

    if (!s->wildcard) {
        memcpy(flow->local, s->bound, 16);
    }
    if (!is_any(flow->local)) {
        return;
    }
    cx_flow_remote(flow, &a);
    int fd = socket(a.sa.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return;
    }
    if (connect(fd, &a.sa, a.sa.sa_family == AF_INET ? sizeof(a.in4) : sizeof(a.in6)) == 0 &&
        getsockname(fd, &a.sa, &len) == 0) {
        addr_bytes(&a, flow->local);
    }
    (void)close(fd);
}

int cx_sock_fd(const struct cx_sock *s)
{
    dr_assert(s != NULL);
    return s->fd;
}

int cx_sock_rcvbuf(const struct cx_sock *s)
{
    dr_assert(s != NULL);
    int value = 0;
    socklen_t len = sizeof(value);

    return getsockopt(s->fd, SOL_SOCKET, SO_RCVBUF, &value, &len) == 0 ? value : 0;
}

void cx_sock_stats(const struct cx_sock *s, struct cx_sock_stats *ret)
{
    dr_assert(s != NULL && ret != NULL);
    uint32_t info[SK_MEMINFO_VARS] = {0};
    socklen_t len = sizeof(info);

    *ret = s->stats;
    if (getsockopt(s->fd, SOL_SOCKET, SO_MEMINFO, info, &len) == 0) {
        ret->rx_dropped_kernel = info[SK_MEMINFO_DROPS];
    }
}

/* ---- input ---- */

static void read_control(struct msghdr *m, struct cx_flow *flow)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c != NULL; c = CMSG_NXTHDR(m, c)) {
        if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
            struct in_pktinfo info;

            memcpy(&info, CMSG_DATA(c), sizeof(info));
            put_v4(flow->local, info.ipi_spec_dst); /* not the group that was addressed */
        } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
            struct in6_pktinfo info;

            memcpy(&info, CMSG_DATA(c), sizeof(info));
            memcpy(flow->local, &info.ipi6_addr, 16);
        }
    }
}

static void fill_dgram(struct cx_sock *s, unsigned i)
{
    struct mmsghdr *mm = &s->rx_msgs[i];
    struct msghdr *m = &mm->msg_hdr;
    struct cx_dgram *d = &s->dgrams[i];
    const union cx_addr *from = &s->rx[i].name;

    if (from->sa.sa_family == AF_INET) {
        put_v4(d->flow.remote, from->in4.sin_addr);
        d->flow.remote_port = from->in4.sin_port;
        d->flow.scope = 0;
    } else {
        memcpy(d->flow.remote, &from->in6.sin6_addr, 16);
        d->flow.remote_port = from->in6.sin6_port;
        d->flow.scope = is_link_local(d->flow.remote) ? from->in6.sin6_scope_id : 0;
    }
    memcpy(d->flow.local, s->bound, 16);
    if (m->msg_controllen > 0) {
        read_control(m, &d->flow);
    }
    if ((m->msg_flags & MSG_TRUNC) != 0) {
        s->stats.rx_truncated++;
        d->len = SIZE_MAX;
    } else {
        d->len = mm->msg_len;
        s->stats.rx_bytes += mm->msg_len;
    }
    /* What the kernel has overwritten, for the next batch. */
    m->msg_namelen = sizeof(s->rx[i].name);
    m->msg_controllen = CTL_BYTES;
    m->msg_flags = 0;
}

unsigned cx_sock_recv(struct cx_sock *s)
{
    dr_assert(s != NULL);
    int n;

    do {
        n = recvmmsg(s->fd, s->rx_msgs, CX_BATCH, MSG_DONTWAIT, NULL);
    } while (n < 0 && errno == EINTR);
    if (n <= 0) {
        return 0;
    }
    for (unsigned i = 0; i < (unsigned)n; i++) {
        fill_dgram(s, i);
    }
    s->stats.rx_datagrams += (unsigned)n;
    return (unsigned)n;
}

struct cx_dgram *cx_sock_dgram(struct cx_sock *s, unsigned i)
{
    dr_assert(s != NULL && i < CX_BATCH);
    return s->dgrams[i].len == SIZE_MAX ? NULL : &s->dgrams[i];
}

const struct cx_flow *cx_sock_flow(const struct cx_sock *s, unsigned i)
{
    dr_assert(s != NULL && i < CX_BATCH);
    return &s->dgrams[i].flow;
}

/* ---- output ---- */

static unsigned slot_at(const struct cx_sock *s, unsigned offset)
{
    return (s->tx_head + offset) % CX_TX_SLOTS_MAX;
}

uint8_t *cx_sock_reserve(struct cx_sock *s)
{
    dr_assert(s != NULL);
    if (s->tx_count == CX_TX_SLOTS_MAX && !cx_sock_flush(s) && s->tx_count == CX_TX_SLOTS_MAX) {
        s->stats.tx_dropped++;
        return NULL;
    }
    return s->tx_bytes[slot_at(s, s->tx_count)];
}

static void set_source(struct cx_sock *s, struct msghdr *m, struct slot *x,
                       const struct cx_flow *flow)
{
    m->msg_control = NULL;
    m->msg_controllen = 0;
    if (!s->wildcard || is_any(flow->local)) {
        return;
    }
    /* IPV6_PKTINFO takes v4-mapped addresses too. */
    m->msg_control = x->ctl.bytes;
    struct cmsghdr *c = &x->ctl.align;
    if (s->family == AF_INET) {
        struct in_pktinfo info = {0};

        memcpy(&info.ipi_spec_dst, flow->local + 12, 4);
        c->cmsg_level = IPPROTO_IP;
        c->cmsg_type = IP_PKTINFO;
        c->cmsg_len = CMSG_LEN(sizeof(info));
        m->msg_controllen = CMSG_SPACE(sizeof(info));
        memcpy(CMSG_DATA(c), &info, sizeof(info));
    } else {
        struct in6_pktinfo info = {.ipi6_ifindex = flow->scope};

        memcpy(&info.ipi6_addr, flow->local, 16);
        c->cmsg_level = IPPROTO_IPV6;
        c->cmsg_type = IPV6_PKTINFO;
        c->cmsg_len = CMSG_LEN(sizeof(info));
        m->msg_controllen = CMSG_SPACE(sizeof(info));
        memcpy(CMSG_DATA(c), &info, sizeof(info));
    }
}

void cx_sock_set_filter(struct cx_sock *s, cx_sock_filter_fn *fn, void *data)
{
    dr_assert(s != NULL);
    s->filter = fn;
    s->filter_data = data;
}

void cx_sock_commit(struct cx_sock *s, size_t len, const struct cx_flow *flow)
{
    dr_assert(s != NULL && flow != NULL && len <= CX_DGRAM_MAX && s->tx_count < CX_TX_SLOTS_MAX);
    unsigned i = slot_at(s, s->tx_count);
    struct slot *x = &s->tx[i];
    struct msghdr *m = &s->tx_msgs[i].msg_hdr;

    if (s->filter != NULL && !s->filter(s->filter_data, s->tx_bytes[i], len, flow)) {
        return;
    }
    if (s->family == AF_INET) {
        x->name.in4.sin_family = AF_INET;
        x->name.in4.sin_port = flow->remote_port;
        memcpy(&x->name.in4.sin_addr, flow->remote + 12, 4);
        m->msg_namelen = sizeof(x->name.in4);
    } else {
        x->name.in6.sin6_family = AF_INET6;
        x->name.in6.sin6_port = flow->remote_port;
        x->name.in6.sin6_flowinfo = 0;
        x->name.in6.sin6_scope_id = flow->scope;
        memcpy(&x->name.in6.sin6_addr, flow->remote, 16);
        m->msg_namelen = sizeof(x->name.in6);
    }
    x->iov.iov_len = len;
    set_source(s, m, x, flow);
    s->tx_count++;
    if (s->tx_count >= CX_BATCH && !s->tx_blocked) {
        (void)cx_sock_flush(s);
    }
}

static void drop_sent(struct cx_sock *s, unsigned n)
{
    s->tx_head = slot_at(s, n);
    s->tx_count -= n;
    if (s->tx_count == 0) {
        s->tx_head = 0; /* the same few buffers again, while they are in the cache */
    }
}

static void count_sent(struct cx_sock *s, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        s->stats.tx_bytes += s->tx[slot_at(s, i)].iov.iov_len;
    }
    s->stats.tx_datagrams += n;
}

bool cx_sock_flush(struct cx_sock *s)
{
    dr_assert(s != NULL);
    s->tx_blocked = false;
    while (s->tx_count > 0) {
        unsigned run = CX_TX_SLOTS_MAX - s->tx_head;

        run = run < s->tx_count ? run : s->tx_count;
        run = run < CX_BATCH ? run : CX_BATCH;
        int n = sendmmsg(s->fd, s->tx_msgs + s->tx_head, run, MSG_DONTWAIT);
        if (n > 0) {
            count_sent(s, (unsigned)n);
            drop_sent(s, (unsigned)n);
        } else if (errno == EAGAIN || errno == ENOBUFS) {
            s->stats.tx_blocked++;
            s->tx_blocked = true;
            return false;
        } else if (errno != EINTR) {
            /* This one datagram cannot go (no route, source address not ours): lost as on a wire.
             */
            s->stats.tx_dropped++;
            drop_sent(s, 1);
        }
    }
    return true;
}

bool cx_sock_pending(const struct cx_sock *s)
{
    dr_assert(s != NULL);
    return s->tx_count > 0;
}

/* ---- one address, n sockets ----
 *
 * Source address (the last four bytes of an IPv6 address) and source port, mixed by one
 * multiplication, pick the socket. The program below and cx_steer compute the same:
 *
 *     x = (address ^ port << 16 ^ port) * 0x9e3779b1;  shard = (x >> 16) % n
 *
 * A record of type 25 carries a connection id at offset 11, whose first byte is the slot.
 * The program sees the UDP payload at offset 0 and the IP header at SKF_NET_OFF. IP options and
 * extension headers shift the port: such a peer is steered by other bytes, but always the same
 * ones.
 */

#define STEER_MULTIPLIER 0x9e3779b1u

unsigned cx_steer(const union cx_addr *remote, unsigned n)
{
    dr_assert(remote != NULL && n > 0);
    uint8_t bytes[16];
    uint32_t addr;
    uint32_t port =
        ntohs(remote->sa.sa_family == AF_INET ? remote->in4.sin_port : remote->in6.sin6_port);

    addr_bytes(remote, bytes);
    memcpy(&addr, bytes + 12, 4);
    uint32_t x = (ntohl(addr) ^ (port << 16) ^ port) * STEER_MULTIPLIER;
    return (x >> 16) % n;
}

static void steer(int fd, unsigned n)
{
    const uint32_t net = (uint32_t)SKF_NET_OFF;
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 25, 0, 3),
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 11),
        BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, n),
        BPF_STMT(BPF_RET | BPF_A, 0),
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, net),
        BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, 4),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 6, 4, 0),
        /* IPv4: source at 12, source port at 20 */
        BPF_STMT(BPF_LD | BPF_H | BPF_ABS, net + 20),
        BPF_STMT(BPF_ST, 0),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, net + 12),
        BPF_JUMP(BPF_JMP | BPF_JA, 3, 0, 0),
        /* IPv6: last word of the source at 20, source port at 40 */
        BPF_STMT(BPF_LD | BPF_H | BPF_ABS, net + 40),
        BPF_STMT(BPF_ST, 0),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, net + 20),
        /* A = address, M[0] = port */
        BPF_STMT(BPF_LDX | BPF_MEM, 0),
        BPF_STMT(BPF_ALU | BPF_XOR | BPF_X, 0),
        BPF_STMT(BPF_ST, 1),
        BPF_STMT(BPF_LD | BPF_MEM, 0),
        BPF_STMT(BPF_ALU | BPF_LSH | BPF_K, 16),
        BPF_STMT(BPF_LDX | BPF_MEM, 1),
        BPF_STMT(BPF_ALU | BPF_XOR | BPF_X, 0),
        BPF_STMT(BPF_ALU | BPF_MUL | BPF_K, STEER_MULTIPLIER),
        BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, 16),
        BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, n),
        BPF_STMT(BPF_RET | BPF_A, 0),
    };
    struct sock_fprog prog = {.len = DR_ARRAY_LEN(code), .filter = code};

    /* Without it the kernel spreads by a hash of its own: as good for peers that keep their port.
     */
    (void)setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &prog, sizeof(prog));
}

static dr_err_t open_one(const union cx_addr *addr, int type, bool shared, int *ret)
{
    int fd = socket(addr->sa.sa_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0) {
        return errno == EAFNOSUPPORT ? DR_ERR_UNSUPPORTED : DR_ERR_IO;
    }
    if (addr->sa.sa_family == AF_INET6) {
        set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0);
    }
    if (type == SOCK_STREAM) {
        set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1); /* old connections of the port may linger */
    }
    if (shared) {
        set_int(fd, SOL_SOCKET, SO_REUSEPORT, 1);
    }
    socklen_t len = addr->sa.sa_family == AF_INET ? sizeof(addr->in4) : sizeof(addr->in6);
    if (bind(fd, &addr->sa, len) != 0) {
        dr_err_t err = errno == EADDRINUSE      ? DR_ERR_IN_USE
                       : errno == EACCES        ? DR_ERR_DENIED
                       : errno == EADDRNOTAVAIL ? DR_ERR_NOT_FOUND
                                                : DR_ERR_IO;
        (void)close(fd);
        return err;
    }
    *ret = fd;
    return DR_OK;
}

static dr_err_t open_all(union cx_addr *addr, int type, unsigned n, int *ret_fds)
{
    union cx_addr bound = *addr;
    socklen_t len = sizeof(bound);
    unsigned opened = 0;

    dr_err_t err = open_one(addr, type, false, &ret_fds[0]);
    if (err != DR_OK) {
        return err;
    }
    opened = 1;
    if (getsockname(ret_fds[0], &bound.sa, &len) != 0) {
        err = DR_ERR_IO;
        goto out;
    }
    if (n > 1) {
        set_int(ret_fds[0], SOL_SOCKET, SO_REUSEPORT, 1);
    }
    for (; opened < n; opened++) {
        err = open_one(&bound, type, true, &ret_fds[opened]);
        if (err != DR_OK) {
            goto out;
        }
    }
    *addr = bound;
out:
    while (err != DR_OK && opened > 0) {
        (void)close(ret_fds[--opened]);
    }
    return err;
}

dr_err_t cx_sockets_open(union cx_addr *addr, unsigned n, int *ret_fds)
{
    dr_assert(addr != NULL && n > 0 && ret_fds != NULL);
    dr_assert(addr->sa.sa_family == AF_INET || addr->sa.sa_family == AF_INET6);
    dr_err_t err = open_all(addr, SOCK_DGRAM, n, ret_fds);

    if (err == DR_OK && n > 1) {
        steer(ret_fds[0], n);
    }
    return err;
}

dr_err_t cx_listeners_open(union cx_addr *addr, unsigned n, int *ret_fds)
{
    dr_assert(addr != NULL && n > 0 && ret_fds != NULL);
    dr_assert(addr->sa.sa_family == AF_INET || addr->sa.sa_family == AF_INET6);
    dr_err_t err = open_all(addr, SOCK_STREAM, n, ret_fds);
    if (err != DR_OK) {
        return err;
    }
    /* Only when all are bound: one that listens lets nobody join. */
    for (unsigned i = 0; err == DR_OK && i < n; i++) {
        if (listen(ret_fds[i], LISTEN_BACKLOG) != 0) {
            err = errno == EADDRINUSE ? DR_ERR_IN_USE : DR_ERR_IO;
        }
    }
    for (unsigned i = 0; err != DR_OK && i < n; i++) {
        (void)close(ret_fds[i]);
    }
    return err;
}
