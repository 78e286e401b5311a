/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The client's conversation. Commands, one a line:
 *
 *     bootstrap | connect | register | update [LINKS] | deregister | reconnect | rebind | close
 *     restart | add PATH FLAGS | set PATH VALUE | fill PATH BYTES | ping | est [NAME] | raw HEX
 *     fw URI [SIZE] | opt KEY VALUE | quit
 *
 * connect registers, reconnect only updates, restart is a new process with new tokens. FLAGS are
 * the sum of R_OBS … of pelion.h.
 *
 * opt: exec-delay MS, drop-acks N (empty ACKs that are not sent), deaf N (messages that are not
 * seen), block 512|256, fw off|http|coap, auto 0|1 (register once connected), two-step 0|1
 * (answers to PUT in bootstrap are separate), aid, ep, lifetime, binding, location, boot-query (-
 * is none), suite NAME, clock SECONDS.
 */
#include <ctype.h>
#include <getopt.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/peers/pelion_me.h"

struct peer_me me;

/* ---- what comes in ---- */

static void late_acked(unsigned mid)
{
    for (unsigned i = 0; i < LATE_MAX; i++) {
        struct late l = me.late[i];
        if (!l.used || !l.sent || l.mid != mid) {
            continue;
        }
        me.late[i].used = false;
        ev("answered-late");
        ev_str("path", l.path);
        ev_end();
        if (strcmp(l.path, "10252/0/1") == 0) {
            peer_fw_begin();
        } else if (strcmp(l.path, "bs") == 0 && l.code == CODE(2, 4)) {
            if (me.boot.mode == 4) {
                peer_uri_take(me.boot.uri);
                peer_est_start("");
            } else {
                peer_boot_finished();
            }
        } else if (strcmp(l.path, "1/0/8") == 0) {
            peer_request(K_UPDATE);
        }
        return;
    }
}

static void empty_in(const struct msg *m)
{
    if (m->type == CON) {
        uint8_t rst[4] = {0x70, 0, (uint8_t)(m->mid >> 8), (uint8_t)m->mid};
        (void)net_send(&me.net, rst, sizeof rst);
        return;
    }
    for (unsigned i = 0; i < TX_MAX; i++) {
        struct tx *tx = &me.tx[i];
        if (tx->role == 0 || tx->mid != m->mid) {
            continue;
        }
        enum role role = tx->role;
        if (role == T_REQUEST && m->type == ACK) {
            tx->at_ms = now_ms() + 60000; /* the answer follows */
            tx->resends = 3;
            return;
        }
        tx->role = 0;
        if (role == T_NOTIFY) {
            peer_notified(tx, m->type == RST ? "reset" : "acked");
            peer_notify_run();
        } else if (role == T_PING) {
            ev("pong");
            ev_str("how", m->type == RST ? "reset" : "ack");
            ev_end();
        } else if (role == T_LATE) {
            late_acked(m->mid);
        } else if (role == T_REQUEST) {
            fail("request was reset", 0);
            me.req.kind = K_NONE;
        }
        return;
    }
}

static void message_in(const uint8_t *in, size_t len)
{
    struct msg m;

    if (me.deaf > 0) {
        me.deaf--;
        return;
    }
    if (!msg_parse(in, len, &m)) {
        fail("not a message", (int)len);
        return;
    }
    if (m.code == 0) {
        empty_in(&m);
        return;
    }
    if (m.code < 32) {
        peer_request_in(&m);
        return;
    }
    bool ours = me.req.kind != K_NONE && m.tkl == TOKEN_LEN &&
                memcmp(m.token, me.req.token, TOKEN_LEN) == 0;
    if (m.type == CON) {
        peer_ack(m.mid);
    }
    if (ours) {
        peer_answer_in(&m);
    }
}

/* ---- time ---- */

static void late_send(struct late *l)
{
    struct wr w;

    me.mid = (me.mid + 1) & 0xffff;
    wr_begin(&w, CON, l->code, me.mid, l->token, l->tkl);
    wr_opt(&w, O_MAX_AGE, NULL, 0);
    wr_payload(&w, l->text, strlen(l->text));
    l->sent = true;
    l->mid = me.mid;
    (void)peer_con(T_LATE, &w);
}

static void gave_up(struct tx *tx)
{
    enum role role = tx->role;

    tx->role = 0;
    if (role == T_NOTIFY) {
        peer_notified(tx, "timeout");
        if (me.fw.phase != 0) {
            me.fw.phase = 0;
            peer_fw_state("2");
        }
    } else if (role == T_REQUEST) {
        fail("no answer", (int)me.req.kind);
        me.req.kind = K_NONE;
        peer_queue_run();
    } else if (role == T_LATE) {
        fail("late answer not acknowledged", 0);
        memset(me.late, 0, sizeof me.late);
    }
}

static void timers_run(void)
{
    uint64_t now = now_ms();

    for (unsigned i = 0; i < TX_MAX; i++) {
        struct tx *tx = &me.tx[i];
        if (tx->role == 0 || tx->at_ms > now) {
            continue;
        }
        if (tx->resends == 3) {
            gave_up(tx);
            continue;
        }
        tx->resends++;
        tx->wait_ms *= 2;
        tx->at_ms = now + tx->wait_ms;
        (void)net_send(&me.net, tx->buf, tx->len);
    }
    for (unsigned i = 0; i < LATE_MAX; i++) {
        if (me.late[i].used && !me.late[i].sent && me.late[i].due_ms <= now) {
            late_send(&me.late[i]);
        }
    }
    peer_fw_run();
}

/* ---- commands ---- */

static size_t unhex(const char *text, uint8_t *out, size_t cap)
{
    size_t n = 0;

    while (isxdigit((unsigned char)text[0]) && isxdigit((unsigned char)text[1]) && n < cap) {
        char two[3] = {text[0], text[1], '\0'};
        out[n++] = (uint8_t)strtoul(two, NULL, 16);
        text += 2;
    }
    return n;
}

static void option(const char *key, const char *val)
{
    if (strcmp(key, "exec-delay") == 0) {
        me.exec_delay = atol(val);
    } else if (strcmp(key, "drop-acks") == 0) {
        me.drop_acks = (unsigned)atoi(val);
    } else if (strcmp(key, "deaf") == 0) {
        me.deaf = (unsigned)atoi(val);
    } else if (strcmp(key, "block") == 0) {
        me.block = (unsigned)atoi(val);
    } else if (strcmp(key, "fw") == 0) {
        me.fw_how = strcmp(val, "coap") == 0 ? "coap" : strcmp(val, "off") == 0 ? "off" : "http";
    } else if (strcmp(key, "auto") == 0) {
        me.automatic = atoi(val) != 0;
    } else if (strcmp(key, "two-step") == 0) {
        me.two_step = atoi(val) != 0;
    } else if (strcmp(key, "aid") == 0) {
        snprintf(me.aid, sizeof me.aid, "%s", val);
        snprintf(me.query, sizeof me.query, "aid=%s", val);
    } else if (strcmp(key, "ep") == 0) {
        snprintf(me.ep, sizeof me.ep, "%s", val);
    } else if (strcmp(key, "binding") == 0) {
        snprintf(me.binding, sizeof me.binding, "%s", val);
    } else if (strcmp(key, "suite") == 0) {
        me.net.suite[0] = mbedtls_ssl_get_ciphersuite_id(val);
    } else if (strcmp(key, "lifetime") == 0) {
        me.lifetime = atol(val);
    } else if (strcmp(key, "location") == 0) {
        snprintf(me.location, sizeof me.location, "%s", val);
    } else if (strcmp(key, "boot-query") == 0) {
        snprintf(me.boot_query, sizeof me.boot_query, "%s", strcmp(val, "-") == 0 ? "" : val);
    } else if (strcmp(key, "clock") == 0) {
        me.net.clock_s = (uint32_t)atol(val);
    } else {
        fail("unknown option", 0);
    }
}

static void ping(void)
{
    struct wr w;

    me.mid = (me.mid + 1) & 0xffff;
    wr_begin(&w, CON, 0, me.mid, NULL, 0);
    (void)peer_con(T_PING, &w);
}

static void resource_set(const char *path, const char *value)
{
    struct res *r = res_find(path);

    if (r != NULL) {
        res_set(r, value, strlen(value));
        peer_changed(path);
    }
}

static void resource_fill(const char *path, size_t n)
{
    struct res *r = res_find(path);
    uint8_t *p = malloc(n + 1);

    for (size_t i = 0; i < n; i++) {
        p[i] = (uint8_t)('a' + i % 26);
    }
    if (r != NULL) {
        res_set(r, p, n);
        peer_changed(path);
    }
    free(p);
}

static void restart(void)
{
    peer_drop(false);
    res_observers_clear();
    res_aobs_assign(1 + (unsigned)rand() % 900);
    for (size_t i = 0; i < res_count; i++) {
        res_list[i].fresh = true;
    }
    me.registered = false;
    if (peer_lw_open()) {
        peer_request(K_REGISTER);
    }
}

static void command(char *line)
{
    char *save = NULL;
    const char *cmd = strtok_r(line, " \n", &save);
    const char *a = cmd == NULL ? NULL : strtok_r(NULL, " \n", &save);
    const char *b = a == NULL ? NULL : strtok_r(NULL, "\n", &save);

    if (cmd == NULL) {
        return;
    }
    if (strcmp(cmd, "bootstrap") == 0) {
        peer_bootstrap();
    } else if (strcmp(cmd, "connect") == 0) {
        if (peer_lw_open() && me.automatic) {
            peer_request(K_REGISTER);
        }
    } else if (strcmp(cmd, "register") == 0) {
        peer_request(K_REGISTER);
    } else if (strcmp(cmd, "update") == 0) {
        snprintf(me.extra_links, sizeof me.extra_links, "%s", a == NULL ? "" : a);
        peer_request(K_UPDATE);
    } else if (strcmp(cmd, "deregister") == 0) {
        peer_request(K_DEREGISTER);
    } else if (strcmp(cmd, "reconnect") == 0) {
        if (peer_lw_open()) {
            peer_request(K_UPDATE); /* never more than that in the same process */
        }
    } else if (strcmp(cmd, "rebind") == 0) {
        (void)net_rebind(&me.net);
    } else if (strcmp(cmd, "close") == 0) {
        peer_drop(true);
    } else if (strcmp(cmd, "restart") == 0) {
        restart();
    } else if (strcmp(cmd, "ping") == 0) {
        ping();
    } else if (strcmp(cmd, "est") == 0) {
        peer_est_start(a == NULL ? "" : a);
    } else if (strcmp(cmd, "add") == 0 && b != NULL) {
        struct res *r = res_add(a, NULL, (unsigned)atoi(b));
        if (r != NULL && (r->flags & R_AOBS) != 0) {
            r->aobs = 1000;
            r->seq = 1;
        }
    } else if (strcmp(cmd, "set") == 0 && b != NULL) {
        resource_set(a, b);
    } else if (strcmp(cmd, "fill") == 0 && b != NULL) {
        resource_fill(a, (size_t)atol(b));
    } else if (strcmp(cmd, "opt") == 0 && b != NULL) {
        option(a, b);
        return;
    } else if (strcmp(cmd, "fw") == 0 && a != NULL) {
        snprintf(me.fw.m.uri, sizeof me.fw.m.uri, "%s", a);
        me.fw.m.size = b == NULL ? 0 : (unsigned long)atol(b);
        me.fw.got = 0;
        me.fw.backoff_ms = 1000;
        me.fw.phase = 3;
        peer_request(K_FW);
    } else if (strcmp(cmd, "raw") == 0 && a != NULL) {
        uint8_t bytes[1024];
        size_t n = unhex(a, bytes, sizeof bytes);
        (void)net_send(&me.net, bytes, n);
    } else if (strcmp(cmd, "quit") == 0) {
        peer_drop(true);
        exit(0);
    } else {
        fail("unknown command", 0);
    }
}

/* ---- start ---- */

static void split_address(const char *text, char *host, size_t host_cap, char *port,
                          size_t port_cap)
{
    const char *colon = strrchr(text, ':');

    if (colon == NULL) {
        fprintf(stderr, "no port in '%s'\n", text);
        exit(2);
    }
    snprintf(host, host_cap, "%.*s", (int)(colon - text), text);
    snprintf(port, port_cap, "%s", colon + 1);
}

static void must(int ret, const char *what)
{
    if (ret != 0) {
        fprintf(stderr, "%s: -0x%04x\n", what, (unsigned)-ret);
        exit(2);
    }
}

static void arguments(int argc, char **argv)
{
    enum {
        A_SERVER = 256,
        A_BOOT,
        A_MODE,
        A_EP,
        A_AID,
        A_CERT,
        A_KEY,
        A_CA,
        A_PSK_ID,
        A_PSK,
        A_BCERT,
        A_BKEY,
        A_BCA,
        A_ACKT,
        A_LIFETIME,
        A_VENDOR,
        A_CLASS,
        A_VERSION,
        A_SIGNER,
        A_BQUERY,
        A_TYPE
    };
    static const struct option long_options[] = {
        {"server", 1, NULL, A_SERVER},     {"bootstrap", 1, NULL, A_BOOT},
        {"mode", 1, NULL, A_MODE},         {"ep", 1, NULL, A_EP},
        {"aid", 1, NULL, A_AID},           {"cert", 1, NULL, A_CERT},
        {"key", 1, NULL, A_KEY},           {"ca", 1, NULL, A_CA},
        {"psk-id", 1, NULL, A_PSK_ID},     {"psk", 1, NULL, A_PSK},
        {"boot-cert", 1, NULL, A_BCERT},   {"boot-key", 1, NULL, A_BKEY},
        {"boot-ca", 1, NULL, A_BCA},       {"ack-timeout", 1, NULL, A_ACKT},
        {"lifetime", 1, NULL, A_LIFETIME}, {"vendor", 1, NULL, A_VENDOR},
        {"class", 1, NULL, A_CLASS},       {"version", 1, NULL, A_VERSION},
        {"signer", 1, NULL, A_SIGNER},     {"boot-query", 1, NULL, A_BQUERY},
        {"type", 1, NULL, A_TYPE},         {NULL, 0, NULL, 0}};
    const char *version = "0.0.0";
    int c;

    while ((c = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        struct cred *cred = c >= A_BCERT && c <= A_BCA ? &me.boot_cred : &me.lw_cred;
        switch (c) {
        case A_SERVER:
            split_address(optarg, me.host, sizeof me.host, me.port, sizeof me.port);
            break;
        case A_BOOT:
            split_address(optarg, me.boot_host, sizeof me.boot_host, me.boot_port,
                          sizeof me.boot_port);
            break;
        case A_MODE:
            me.mode = strcmp(optarg, "tls") == 0    ? M_TLS
                      : strcmp(optarg, "tcp") == 0  ? M_TCP
                      : strcmp(optarg, "dtls") == 0 ? M_DTLS
                                                    : M_UDP;
            break;
        case A_EP:
            snprintf(me.ep, sizeof me.ep, "%s", optarg);
            break;
        case A_AID:
            option("aid", optarg);
            break;
        case A_CERT:
        case A_BCERT:
            must(mbedtls_x509_crt_parse_file(&cred->cert, optarg), optarg);
            cred->has_cert = true;
            break;
        case A_KEY:
        case A_BKEY:
            must(mbedtls_pk_parse_keyfile(&cred->key, optarg, NULL), optarg);
            break;
        case A_CA:
        case A_BCA:
            must(mbedtls_x509_crt_parse_file(&cred->ca, optarg), optarg);
            cred->has_ca = true;
            break;
        case A_PSK_ID:
            snprintf(me.lw_cred.psk_id, sizeof me.lw_cred.psk_id, "%s", optarg);
            break;
        case A_PSK:
            me.lw_cred.psk_len = unhex(optarg, me.lw_cred.psk, sizeof me.lw_cred.psk);
            break;
        case A_ACKT:
            me.ack_timeout = atol(optarg);
            break;
        case A_LIFETIME:
            me.lifetime = atol(optarg);
            break;
        case A_VENDOR:
            (void)unhex(optarg, me.vendor, sizeof me.vendor);
            break;
        case A_CLASS:
            (void)unhex(optarg, me.class_id, sizeof me.class_id);
            break;
        case A_VERSION:
            version = optarg;
            break;
        case A_SIGNER:
            must(mbedtls_x509_crt_parse_file(&me.signer, optarg), optarg);
            me.has_signer = true;
            break;
        case A_BQUERY:
            snprintf(me.boot_query, sizeof me.boot_query, "%s", optarg);
            break;
        case A_TYPE:
            snprintf(me.type, sizeof me.type, "%s", optarg);
            break;
        default:
            exit(2);
        }
    }
    res_init(version, me.vendor, me.class_id);
    res_aobs_assign(10);
}

int main(int argc, char **argv)
{
    static mbedtls_entropy_context entropy;
    static char line[4096];

    mbedtls_entropy_init(&entropy);
    mbedtls_ctr_drbg_init(&rng);
    must(mbedtls_ctr_drbg_seed(&rng, mbedtls_entropy_func, &entropy, NULL, 0), "random");
    uint32_t seed;
    (void)mbedtls_ctr_drbg_random(&rng, (uint8_t *)&seed, sizeof seed);
    srand(seed);
    cred_init(&me.boot_cred);
    cred_init(&me.lw_cred);
    mbedtls_x509_crt_init(&me.signer);
    mbedtls_pk_init(&me.est_key);
    mbedtls_ssl_session_init(&me.net.session);
    me.mode = M_DTLS;
    me.lifetime = 7200;
    me.exec_delay = 50;
    me.ack_timeout = 3000;
    me.block = 512;
    me.fw_how = "http";
    me.automatic = true;
    me.mid = seed & 0xffff;
    snprintf(me.type, sizeof me.type, "default");
    snprintf(me.binding, sizeof me.binding, "U");
    me.fw.image = malloc(FW_MAX);
    arguments(argc, argv);
    setvbuf(stdin, NULL, _IONBF, 0);
    for (;;) {
        struct pollfd fds[2] = {{.fd = 0, .events = POLLIN},
                                {.fd = me.net.open ? me.net.fd.fd : -1, .events = POLLIN}};
        (void)poll(fds, 2, 20);
        if ((fds[0].revents & (POLLIN | POLLHUP)) != 0) {
            if (fgets(line, sizeof line, stdin) == NULL) {
                peer_drop(true);
                return 0;
            }
            command(line);
        }
        for (unsigned i = 0; i < 16 && me.net.open && (fds[1].revents & (POLLIN | POLLHUP)); i++) {
            uint8_t in[RX_MAX];
            int n = net_recv(&me.net, in);
            if (me.net.oversize) {
                me.net.oversize = false;
                fail("message larger than the buffer", 0);
            }
            if (n < 0) {
                bool boot = me.bootstrapping;
                peer_drop(false);
                ev("closed");
                ev_num("bootstrapping", boot);
                ev_end();
                break;
            }
            if (n == 0) {
                break;
            }
            message_in(in, (size_t)n);
        }
        timers_run();
        peer_notify_run();
    }
}
