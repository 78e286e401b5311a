/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  lwm2m/bootstrap.h
 * @brief The server's side of the bootstrap interface, pure: what Discover tells, what is written.
 *
 * Bootstrap-Request queries are parsed by lwm2m_bootstrap_parse() (lwm2m/register.h).
 *
 * Layer: lwm2m, pure.  Threads: reentrant, no state.  Memory: results are fixed-size or go into the
 * caller's lwm2m_nodes.  Limits: LWM2M_BOOT_INSTANCES_MAX.  Security: answers of devices are
 * hostile and never asserted on; nodes carry keys, so whoever encodes them wipes the bytes.
 * Spec: LWM2M-1.2-CORE#6.1.7.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "lwm2m/format.h"
#include "lwm2m/path.h"
#include "lwm2m/value.h"

/** Instances of one object that are looked at in a Discover answer; the rest is only counted. */
#define LWM2M_BOOT_INSTANCES_MAX 32
/** Largest Discover answer that is read. */
#define LWM2M_BOOT_DISCOVER_MAX  ((size_t)16 << 10)

/** Objects of the bootstrap interface. */
enum {
    LWM2M_OBJ_SECURITY = 0,
    LWM2M_OBJ_SERVER = 1,
    LWM2M_OBJ_ACCESS_CONTROL = 2,
    LWM2M_OBJ_DEVICE = 3,
    LWM2M_OBJ_OSCORE = 21,
};

/** Resource /0/x/2. */
enum lwm2m_security_mode {
    LWM2M_SECURITY_PSK = 0,
    LWM2M_SECURITY_RPK = 1,
    LWM2M_SECURITY_X509 = 2,
    LWM2M_SECURITY_NONE = 3,
    LWM2M_SECURITY_EST = 4,
};

/** Short server ids that mean a server. spec: LWM2M-1.2-CORE#E.2 */
#define LWM2M_SSID_MIN 1
#define LWM2M_SSID_MAX 65534

/** One instance of /0, /1 or /21 in a Discover answer. */
struct lwm2m_boot_instance {
    uint16_t id;
    uint16_t ssid; /**< 0 = none was given */
};

/** What a device told of itself in its Discover answer. */
struct lwm2m_boot_found {
    struct lwm2m_version version; /**< 0.0 = not given */
    /** Security instances; the one without ssid is the account of the bootstrap server. */
    struct lwm2m_boot_instance security[LWM2M_BOOT_INSTANCES_MAX];
    struct lwm2m_boot_instance server[LWM2M_BOOT_INSTANCES_MAX];
    uint8_t n_security, n_server;
    bool more;       /**< instances beyond LWM2M_BOOT_INSTANCES_MAX were left out */
    bool has_access; /**< some instance of /2 */
    bool has_oscore;
};

/**
 * Read an answer to Bootstrap-Discover (link format), of `/` or of one object, into @p ret, which
 * keeps what earlier calls found. Links that are none of ours, and attributes without sense, are
 * skipped; the older form without `</>` in front is taken.
 * @retval DR_ERR_PROTO      not link format
 * @retval DR_ERR_TOO_LARGE  over LWM2M_BOOT_DISCOVER_MAX
 */
DR_CHECK dr_err_t lwm2m_boot_discover_read(const char *text, size_t len,
                                           struct lwm2m_boot_found *ret);

/** Note the instances of /0 that a comma list names (`acc` of a Bootstrap-Pack-Request) as accounts
 * of bootstrap servers; what is no instance is skipped. */
void lwm2m_boot_accounts_read(struct lwm2m_str list, struct lwm2m_boot_found *ret);

/** How many security instances are accounts of servers that are no bootstrap server. */
unsigned lwm2m_boot_found_servers(const struct lwm2m_boot_found *found);

/**
 * The instance of /0 to write for the server @p ssid: never one that holds the account of a
 * bootstrap server.
 * @param keep  accounts of other servers stay: the one that @p ssid has, else a free one; without
 *              it, the lowest
 * @retval DR_ERR_LIMIT  cannot be told, there are too many instances
 */
DR_CHECK dr_err_t lwm2m_boot_security_id(const struct lwm2m_boot_found *found, uint16_t ssid,
                                         bool keep, uint16_t *ret);
/** The same for /1, where all instances are of servers. */
DR_CHECK dr_err_t lwm2m_boot_server_id(const struct lwm2m_boot_found *found, uint16_t ssid,
                                       bool keep, uint16_t *ret);

/** Account of one server: an instance of /0. Texts and bytes are borrowed. */
struct lwm2m_boot_security {
    const char *uri;
    uint8_t mode;                /**< enum lwm2m_security_mode */
    struct lwm2m_bytes identity; /**< 3: PSK identity or certificate; absent with EST */
    struct lwm2m_bytes server;   /**< 4: certificate; may be empty */
    struct lwm2m_bytes secret;   /**< 5: PSK or private key; absent with EST */
    uint16_t ssid;               /**< 10; 0 = left out */
    int32_t hold_off_s;          /**< 11; negative = left out */
    int16_t certificate_usage;   /**< 15; negative = left out */
    bool bootstrap_server;       /**< 1 */
    bool pelion;                 /**< only what Pelion's client knows: no 11, no 15 */
};

/**
 * Append the resources of /0/@p instance in ascending order.
 * @retval DR_ERR_LIMIT, DR_ERR_NOMEM
 */
DR_CHECK dr_err_t lwm2m_boot_security_add(const struct lwm2m_boot_security *sec, uint16_t instance,
                                          struct lwm2m_nodes *nodes);

/** One server: an instance of /1. */
struct lwm2m_boot_server {
    uint16_t ssid;
    uint32_t lifetime_s;
    int32_t pmin_s, pmax_s; /**< 2, 3; negative = left out */
    bool store;             /**< 6: keep notifications while offline */
    const char *binding;    /**< 7 */
};

/** Append the resources of /1/@p instance in ascending order. Errors as above. */
DR_CHECK dr_err_t lwm2m_boot_server_add(const struct lwm2m_boot_server *server, uint16_t instance,
                                        struct lwm2m_nodes *nodes);

/** Formats that may be tried on a device, one after the other. */
#define LWM2M_BOOT_FORMATS_MAX 4

/**
 * The formats for the writes of a session, best first: the device's preference, else TLV for 1.0
 * or an unknown version, else SenML CBOR; then the others that the version has.
 * @param pct  LWM2M_CT_NONE = the device named none
 * @return how many were put into @p ret
 */
size_t lwm2m_boot_formats(uint16_t pct, struct lwm2m_version version,
                          uint16_t ret[LWM2M_BOOT_FORMATS_MAX]);

/**
 * Does an instance of /1 that was read back hold what was written? Resources that the device does
 * not show count as held.
 */
bool lwm2m_boot_server_holds(const struct lwm2m_nodes *got, uint16_t instance,
                             const struct lwm2m_boot_server *want);
