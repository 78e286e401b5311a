/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  coap/engine.h
 * @brief The CoAP engine of one loop: sockets, DTLS associations, connections, exchanges; server
 * and client role.
 *
 * Layer: coap.  Threads: every function on the engine's own loop, unless it says otherwise; engines
 * share nothing but the read-only struct cx_security.  Memory: per peer see docs/limits.md. Limits:
 * struct cx_limits.  Security: nothing is kept for a peer before its cookie has come back (DTLS).
 * Spec: RFC7252, RFC7641, RFC7959, RFC8132, RFC8323, RFC9175, RFC6347.
 */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/buf.h"
#include "base/err.h"
#include "coap/pdu.h"

struct loop;
struct cx_engine;
struct cx_body;
struct cx_security;
struct cx_observed;

/** A peer: slab index in the low 32 bits, generation in the high ones; 0 is none. Never reused for
 * another peer. */
typedef uint64_t cx_peer_t;
/** A request that waits for our answer. 0 is none. */
typedef uint64_t cx_exchange_t;

/** The last two are streams: each peer is a connection, but calls, answers and observations are the
 * same. */
enum cx_proto { CX_PROTO_UDP, CX_PROTO_DTLS, CX_PROTO_TCP, CX_PROTO_TLS };

/** How messages lie in a stream. A server tells the two apart by the first bytes of the client. */
enum cx_framing {
    CX_FRAMING_RFC8323,  /**< a length in front, neither types nor message ids; CSM comes first */
    CX_FRAMING_DATAGRAM, /**< whole RFC 7252 messages, with all that belongs to them: one in each
                            TLS record, or (TCP) each behind a length of 4 bytes */
};

union cx_addr {
    struct sockaddr sa;
    struct sockaddr_in in4;
    struct sockaddr_in6 in6;
};

#define CX_IDENTITY_MAX 128
#define CX_CRED_KEY_MAX 64

enum cx_id_kind { CX_ID_NONE, CX_ID_PSK, CX_ID_CERT };

/** Who the peer proved to be; fixed for the life of the association. */
struct cx_identity {
    enum cx_id_kind kind;
    int64_t account;    /**< account that the credential belongs to; 0 for CX_ID_NONE */
    int64_t credential; /**< id of the PSK row or of the trust anchor */
    uint32_t
        version; /**< credential version; a later one in the store makes this association stale */
    int64_t
        device; /**< the only device that the credential is good for; 0 = whichever has the name */
    const char *name; /**< what the owner answered, by default PSK identity or CN; NUL-terminated;
                         borrowed from the peer */
};

enum cx_gone {
    CX_GONE_CLOSED,   /**< close_notify, or cx_peer_close */
    CX_GONE_REPLACED, /**< a newer association of the same address is complete */
    CX_GONE_IDLE,     /**< without traffic for longer than the limit */
    CX_GONE_FAILED,   /**< fatal alert, failed handshake (client role), broken connection */
};

/** A request of a peer, whole (blocks assembled) and not a duplicate. Valid during the call only.
 */
struct cx_inbound {
    cx_peer_t peer;
    cx_exchange_t exchange;
    const struct cx_pdu *pdu; /**< payload is the whole body */
};

/** A question for the key of a PSK identity. Answer by cx_psk_answer, at once or later. */
struct cx_psk_query {
    uint64_t handle;
    const char *identity; /**< NUL-terminated, without NUL inside, at most CX_IDENTITY_MAX bytes;
                             valid in the call */
};

/** What the engine tells its owner; all on the engine's loop. A NULL member means "refuse" or
 * "ignore". */
struct cx_ops {
    /** Answer exactly once with cx_answer, inside the call (piggybacked) or later (after 1 s an
     * empty ACK goes out). */
    void (*request)(void *data, struct cx_engine *e, const struct cx_inbound *in);
    /**
     * A response or notification whose token no call of ours waits for (observations, and tokens
     * that the device made). Return true to take it (a CON is acknowledged), false to refuse it
     * (RST). The body is whole.
     */
    bool (*notify)(void *data, struct cx_engine *e, cx_peer_t peer, const struct cx_pdu *pdu);
    /**
     * Which request made the observation of @p first's token? Asked for when a notification is only
     * the first block of its body. Fill @p ret (coap/msg.h) and return true; false or NULL: notify
     * gets the first block alone, with pdu->block2 set.
     */
    bool (*observed)(void *data, struct cx_engine *e, cx_peer_t peer, const struct cx_pdu *first,
                     struct cx_observed *ret);
    /** Asked before notify; false: no room now, the message gets no answer and a CON is repeated.
     * NULL = always room. */
    bool (*room)(void *data, struct cx_engine *e);
    void (*psk)(void *data, struct cx_engine *e, const struct cx_psk_query *q);
    /**
     * The peer's chain was verified against the trust anchors in cx_security. Fill account,
     * credential and version from the anchor's tag, or return an error to refuse.
     */
    dr_err_t (*cert)(void *data, struct cx_engine *e, uint64_t anchor_tag, const char *cn,
                     const uint8_t *leaf_der, size_t leaf_len, struct cx_identity *id);
    /** The peer has gone: its calls have completed already with DR_ERR_GONE (or DR_ERR_MOVED). */
    void (*peer_gone)(void *data, struct cx_engine *e, cx_peer_t peer, uint64_t user,
                      enum cx_gone why);
};

/** Named limits and times; zero means the default that stands behind it. */
struct cx_limits {
    uint32_t peers_max;     /**< 1,200,000 */
    uint32_t half_open_max; /**< handshakes under way: 2,000 */
    uint32_t body_max;      /**< assembled body of a peer: 65,536 bytes; above it 4.13 with Size1 */
    uint32_t assemblies_max;         /**< block-wise bodies under way: 10,000 */
    uint32_t exchanges_per_peer_max; /**< requests of a peer that wait for our answer: 8 */
    uint32_t calls_per_peer_max;     /**< our requests to a peer, queued and in flight: 64 */
    uint32_t handshake_cpu_pct;      /**< share of the loop's time: 30 */
    uint32_t nosec_idle_s;           /**< a NoSec peer without traffic is forgotten: 86,400 */
    uint32_t assoc_idle_s; /**< 0 = an association lives until closed, replaced or evicted */
    uint32_t streams_max;  /**< TCP connections: 20,000; further ones are closed at once */
    uint32_t streams_per_addr_max; /**< of one address (IPv6: network of 64 bits): 1,000 */
    uint32_t stream_hello_s; /**< from the accept to the first message: 60; TLS handshakes under way
                                count for half_open_max too */
    uint32_t stream_idle_s;  /**< a connection without traffic is closed: 86,400 */
};

struct cx_engine_config {
    struct loop *loop;
    unsigned shard;  /**< number of this shard, 0.. */
    unsigned shards; /**< how many there are */
    const struct cx_security
        *security; /**< NULL = NoSec only; borrowed, may be swapped by cx_engine_reload */
    struct cx_limits limits;
    const struct cx_ops *ops; /**< borrowed for the life of the engine */
    void *data;
};

DR_CHECK dr_err_t cx_engine_new(const struct cx_engine_config *config, struct cx_engine **ret);
/**
 * Stop: nothing is read any more, calls and cx_connect complete with DR_ERR_CANCELED, then @p done
 * is called once, later; then cx_engine_free may be called. Peers are told nothing
 * (cx_engine_goodbye) and peer_gone is not called for those that are left.
 */
void cx_engine_close(struct cx_engine *e, void (*done)(void *data), void *data);
struct cx_engine *cx_engine_free(struct cx_engine *e);
/**
 * Send close_notify on every association, so that the peers shake hands at once when they come
 * back. Before cx_engine_close, and only when the associations are not to outlive the process.
 */
void cx_engine_goodbye(struct cx_engine *e);

/**
 * Open @p n UDP sockets on one address for n shards: the first binds without SO_REUSEPORT, so that
 * a second server gets DR_ERR_IN_USE, then its siblings join; a BPF program steers by source
 * address. Any thread.
 * @param addr     in: address and port (0 = free one); out: what was bound
 * @param ret_fds  n descriptors, owned by the caller until adopted
 */
DR_CHECK dr_err_t cx_sockets_open(union cx_addr *addr, unsigned n, int *ret_fds);
/**
 * The same for @p n listening TCP sockets: each shard accepts what the kernel gives to its own.
 * Nothing is accepted before cx_engine_adopt.
 * @param addr  in: address and port, as cx_sockets_open has filled it in for the same port
 */
DR_CHECK dr_err_t cx_listeners_open(union cx_addr *addr, unsigned n, int *ret_fds);
/**
 * Take ownership of a bound UDP socket, or of a listening TCP socket, and serve @p proto on it.
 * @retval DR_ERR_INVAL  CX_PROTO_DTLS or CX_PROTO_TLS without cx_security
 * @retval DR_ERR_LIMIT  over 16 sockets
 * @retval DR_ERR_IO, DR_ERR_NOMEM  (after any error the descriptor is still the caller's)
 */
DR_CHECK dr_err_t cx_engine_adopt(struct cx_engine *e, int fd, enum cx_proto proto);

/** Answer of ours to a request. Everything is borrowed for the call. A large payload is served
 * block-wise. */
struct cx_reply {
    uint8_t code;
    const struct cx_opt *opts;
    size_t n_opts;
    const uint8_t *payload;
    size_t payload_len;
    struct cx_body *body; /**< instead of payload: shared immutable bytes with random access by
                             block; may be NULL */
};
/**
 * Answer @p x. An exchange whose peer has gone is ignored.
 * @retval DR_ERR_NOT_FOUND  answered already, or never was
 */
dr_err_t cx_answer(struct cx_engine *e, cx_exchange_t x, const struct cx_reply *reply);
/**
 * Acknowledge @p x now, so that its answer will be a message of its own. Without it that happens
 * after a second. Not for requests that are no CON, nor after the answer: then nothing happens.
 */
void cx_ack(struct cx_engine *e, cx_exchange_t x);
/** Never answer @p x and forget it: the peer will repeat its request (no credit, stop). */
void cx_forget(struct cx_engine *e, cx_exchange_t x);

/** Retransmission times of one profile. spec: RFC7252#4.8 */
struct cx_timing {
    uint32_t ack_timeout_ms;      /**< 2000 */
    uint16_t random_factor_pct;   /**< 150 */
    uint8_t retransmit_max;       /**< 4 */
    uint32_t response_timeout_ms; /**< from the empty ACK (or the NON) to the response: 120,000;
                                     block progress resets it */
};
extern const struct cx_timing cx_timing_default;

struct cx_call;
/**
 * @param err     DR_OK: @p answer holds the (whole) response, whatever its code. DR_ERR_TIMEOUT no
 * ACK or no response, DR_ERR_RESET, DR_ERR_CANCELED, DR_ERR_MOVED, DR_ERR_GONE, DR_ERR_TOO_LARGE
 * (body over body_max), DR_ERR_PROTO (the peer broke block-wise rules)
 * @param answer  NULL on error; borrowed for the call
 */
typedef void cx_call_cb(struct cx_call *call, dr_err_t err, const struct cx_pdu *answer);

/** A request of ours to a peer, in the caller's memory until cb, which is the last touch. One per
 * peer is in flight. With a response code (2.05 …) it is a notification of ours: token and Observe
 * are the caller's, Uri-Path and Uri-Query are not sent but name the resource (rest of a large
 * body); DR_OK with an empty answer (code 0.00) once acknowledged, DR_ERR_RESET when unwanted. */
struct cx_call {
    cx_peer_t peer;
    uint8_t code;
    bool non; /**< send NON */
    const struct cx_opt
        *opts; /**< borrowed until cb; Uri-Path, Uri-Query, Accept, Content-Format, Observe … */
    size_t n_opts;
    const uint8_t *payload; /**< borrowed until cb; sent block-wise when larger than a block */
    size_t payload_len;
    /** In: bytes of a block-wise payload that the peer has from an earlier call (0; a peer that
     * does not know of them says 4.08, and it begins anew). In cb: bytes that it has taken. */
    size_t payload_from;
    const struct cx_timing *timing; /**< NULL = cx_timing_default */
    uint8_t token_len; /**< 0: the engine makes 8 random bytes and writes them here at start */
    uint8_t token[CX_TOKEN_MAX];
    uint16_t block_size; /**< 0 = 1024; 16..1024 */
    cx_call_cb *cb;
    void *data;
    struct { /**< the engine's; do not touch */
        struct cx_call *next, *prev;
        uint64_t id;
        void *state;
    } priv;
};

/**
 * Queue a request. DR_OK: cb runs once, later. Error: it never runs.
 * @retval DR_ERR_GONE   no such peer
 * @retval DR_ERR_BUSY   cx_connect is not through yet
 * @retval DR_ERR_LIMIT  calls_per_peer_max
 * @retval DR_ERR_NOMEM
 */
DR_CHECK dr_err_t cx_call_start(struct cx_engine *e, struct cx_call *call);
/** Hurry: cb still comes, later. */
void cx_call_cancel(struct cx_engine *e, struct cx_call *call);

/** Answer a PSK question. @p key NULL or @p len 0: unknown identity (the handshake runs on and
 * fails like a wrong key). */
void cx_psk_answer(struct cx_engine *e, uint64_t handle, const uint8_t *key, size_t len,
                   const struct cx_identity *id);

/** A value of the owner's kept with the peer (a registration index), 0 at first. */
void cx_peer_set_user(struct cx_engine *e, cx_peer_t peer, uint64_t user);
uint64_t cx_peer_user(const struct cx_engine *e, cx_peer_t peer);
/** Identity of the peer; name is borrowed while the peer lives. False if it has gone. */
bool cx_peer_identity(const struct cx_engine *e, cx_peer_t peer, struct cx_identity *ret);
bool cx_peer_addr(const struct cx_engine *e, cx_peer_t peer, union cx_addr *ret);
/** What it speaks; CX_PROTO_UDP if it has gone. */
enum cx_proto cx_peer_proto(const struct cx_engine *e, cx_peer_t peer);
/** End an association at once (revoked, deleted): close_notify, calls complete with DR_ERR_GONE,
 * later peer_gone. */
void cx_peer_close(struct cx_engine *e, cx_peer_t peer);
/** As cx_peer_close, but the other side is told nothing, as after a crash of ours. */
void cx_peer_abandon(struct cx_engine *e, cx_peer_t peer);
/**
 * cx_peer_close for every peer with an identity that @p match says true of (a credential was
 * revoked). Looks at at most @p max peers: a shard must not stand still for a million.
 * With @p from 0 also for accepted connections that have not said anything yet.
 * @param from  0 at first, then what the call before gave back
 * @return where to go on; 0 = all were looked at
 */
uint32_t cx_engine_close_some(struct cx_engine *e, uint32_t from, uint32_t max,
                              bool (*match)(void *data, const struct cx_identity *id), void *data);
/** Calls under way and queued complete with DR_ERR_MOVED; the peer itself stays. */
void cx_peer_calls_moved(struct cx_engine *e, cx_peer_t peer);

/* ---- client role ---- */

struct cx_connect {
    enum cx_proto proto;
    enum cx_framing framing; /**< streams only */
    union cx_addr remote;
    union cx_addr local; /**< source address; port is that of the adopted socket, for a stream any
                            free one; family 0 = any */
    const char *psk_identity; /**< borrowed for the call; NULL with a certificate in cx_security */
    const uint8_t *psk_key;
    size_t psk_key_len;
    const struct cx_timing *timing; /**< handshake retransmission; NULL = default */
    /** Once, later: DR_OK and the handshake is done (UDP: at once), DR_ERR_TIMEOUT, DR_ERR_CRYPTO,
     * DR_ERR_CANCELED. After an error the peer has gone, and peer_gone is not called for it. */
    void (*cb)(void *data, cx_peer_t peer, dr_err_t err);
    void *data;
};
/**
 * Make a peer of a server. Until @p c->cb it cannot be called (DR_ERR_BUSY). For a datagram
 * protocol a socket must have been adopted; the peer stays until it is closed on one side.
 * @retval DR_ERR_LIMIT   too many handshakes, connections or peers
 * @retval DR_ERR_EXISTS  the two addresses are a peer already (UDP), or shake hands (DTLS)
 * @retval DR_ERR_INVAL   no socket for it, or neither PSK nor certificate
 */
DR_CHECK dr_err_t cx_connect(struct cx_engine *e, const struct cx_connect *c, cx_peer_t *ret);

/* ---- shared bodies (served by cx_reply.body, random access, no copy per peer) ---- */

struct cx_body *cx_body_new(const uint8_t *bytes, size_t len, const uint8_t *etag, size_t etag_len,
                            void (*release)(void *data), void *data);
struct cx_body *cx_body_ref(struct cx_body *body);
/** Its bytes; they stay while a reference is held. */
struct dr_bytes cx_body_bytes(const struct cx_body *body);
struct cx_body *cx_body_unref(struct cx_body *body);

/* ---- security material, immutable once built, shared by all engines ---- */

struct cx_anchor {
    const uint8_t *der; /**< certificate */
    size_t len;
    uint64_t tag; /**< handed to cx_ops.cert */
};
/** Trust that may change while connections live: asked at each handshake instead of anchors. */
struct cx_trust {
    /**
     * Any thread. Verify a client's chain (DER, leaf first) as of @p wall_ms (unix time).
     * @param ret_tag  handed to cx_ops.cert
     * @retval any error  the handshake ends with an alert
     */
    dr_err_t (*verify)(void *data, const struct dr_bytes *chain, size_t n, int64_t wall_ms,
                       uint64_t *ret_tag);
    /** Any thread. Is @p tag still trusted? Asked when a session is resumed. */
    bool (*known)(void *data, uint64_t tag);
    void *data;
};

struct cx_security_config {
    const char *cert_pem; /**< own chain, leaf first; NULL = PSK only */
    const char *key_pem;  /**< its private key */
    const struct cx_anchor *anchors;
    size_t n_anchors;
    const struct cx_trust *trust; /**< server: in place of anchors; copied. NULL = anchors */
    uint8_t ticket_key[48];       /**< session tickets; all zero = no tickets */
    uint8_t cookie_key[32];       /**< all zero = random */
    bool client;                  /**< for the client role */
};
DR_CHECK dr_err_t cx_security_new(const struct cx_security_config *config, struct cx_security **ret,
                                  struct dr_errinfo *reterr);
struct cx_security *cx_security_ref(struct cx_security *s);
struct cx_security *cx_security_unref(struct cx_security *s);
/** New handshakes use @p security from now on. */
void cx_engine_reload(struct cx_engine *e, struct cx_security *security);

/* ---- bad wires, for simulators and tests ---- */

enum cx_verdict {
    CX_PASS,
    CX_DROP,
    CX_DUPLICATE, /**< now, and once more after a while */
    CX_HOLD,      /**< only after a while, so that later ones overtake it */
};
/** "A while": the next datagrams of a busy socket overtake. */
#define CX_HOLD_MS  20u
/** Datagrams held at a time; above that one passes, or is not repeated. */
#define CX_HELD_MAX 1024u
/**
 * Decide on one datagram as it is on the wire. Must call nothing of the engine.
 * @param out    of ours, or read from the socket
 * @param bytes  borrowed for the call
 */
typedef enum cx_verdict cx_filter_fn(void *data, bool out, const uint8_t *bytes, size_t len);
/**
 * Ask @p fn about every datagram from now on; NULL = none (what is held still comes).
 * @retval DR_ERR_NOMEM
 */
DR_CHECK dr_err_t cx_engine_set_filter(struct cx_engine *e, cx_filter_fn *fn, void *data);

/** Counters of one engine, for /metrics and the simulator; monotonic. */
struct cx_stats {
    uint64_t rx_datagrams, tx_datagrams, rx_bytes, tx_bytes, rx_dropped_kernel, tx_blocked;
    uint64_t malformed, bad_records, replays, duplicates, resets_sent, retransmissions;
    uint64_t handshakes_started, handshakes_done, handshakes_failed, hello_verify_sent,
        half_open_refused, resumed;
    uint64_t requests, responses, notifications, calls, call_timeouts;
    uint64_t streams_accepted, streams_refused; /**< refused: over a limit, closed at once */
    uint64_t streams_failed; /**< ended for what they sent, or for not going on in time */
    uint64_t renegotiations;
    uint32_t peers, associations, half_open, exchanges, assemblies;
    uint32_t streams; /**< connections, whatever their state */
};
void cx_engine_stats(const struct cx_engine *e, struct cx_stats *ret);
