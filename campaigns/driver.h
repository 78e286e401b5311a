/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  campaigns/driver.h
 * @brief What a way of updating a device has to offer: requests for each operation, and what
 * answers and notifications mean.
 *
 * Layer: campaigns, pure.  Threads: reentrant, no state.  Memory: requests borrow the content and
 * the step's own buffer.  Limits: CAMP_STEPS_MAX requests an operation.  Security: answers come
 * from devices and are never asserted on.  Spec: LWM2M-1.1-CORE#E.6, Pelion update objects.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "devices/dev.h"

#define CAMP_STEPS_MAX     4
#define CAMP_URL_MAX       512
#define CAMP_URLS_MAX      4
#define CAMP_VERSION_MAX   63
#define CAMP_COMPONENT_MAX 63
#define CAMP_CODE_MAX      15
#define CAMP_REASON_MAX    159

struct cx_body;

/** How a device is updated. Stored in rows: numbers are fixed. */
enum camp_mech {
    CAMP_MECH_UNKNOWN = 0,
    CAMP_MECH_PELION = 1,  /**< object 10252 */
    CAMP_MECH_OBJECT5 = 2, /**< object 5 */
};

/** What a campaign brings to its devices; made once at its start and at each restart. */
struct camp_content {
    int64_t manifest;      /**< id of the manifest */
    struct dr_bytes raw;   /**< the manifest as uploaded; owned */
    struct cx_body *image; /**< bytes to push to devices that cannot pull; owned, NULL = not here */
    uint64_t size;         /**< of the image */
    bool has_digest;       /**< @c digest holds */
    uint8_t digest[32];    /**< SHA-256 of what is installed afterwards */
    char version[CAMP_VERSION_MAX + 1]; /**< as the device reports it afterwards; "" = not known */
    bool version_is_time; /**< it is the timestamp of a manifest: only Pelion devices show that */
    char component[CAMP_COMPONENT_MAX + 1]; /**< "" = the main one */
    char vendor[33], class_id[33];          /**< hex without dashes, "" = not said */
    char urls[CAMP_URLS_MAX][CAMP_URL_MAX]; /**< for pull, best first: coaps, coap, https, http */
    unsigned n_urls;
};

/** What is done to a device. Stored in rows: numbers are fixed. */
enum camp_op {
    CAMP_OP_NONE = 0,
    CAMP_OP_READ = 1,    /**< state, result and version of the device */
    CAMP_OP_DELIVER = 2, /**< manifest, package or URI */
    CAMP_OP_EXECUTE = 3, /**< begin to install */
    CAMP_OP_RESET = 4,   /**< forget what was delivered */
};

/** Where a device says it is, in the terms of both ways. */
enum camp_phase_dev {
    CAMP_AT_UNKNOWN = 0,
    CAMP_AT_IDLE,
    CAMP_AT_CHECKING,
    CAMP_AT_ASK_DOWNLOAD,
    CAMP_AT_DOWNLOADING,
    CAMP_AT_DOWNLOADED,
    CAMP_AT_ASK_INSTALL,
    CAMP_AT_INSTALLING,
    CAMP_AT_REBOOTING,
};

/** Kinds of failure, for retries and gates. */
enum camp_fail {
    CAMP_FAIL_NONE = 0,
    CAMP_FAIL_TRANSIENT, /**< network, timeouts: again */
    CAMP_FAIL_DEVICE,    /**< storage, memory, battery, consent: again, slowly */
    CAMP_FAIL_REJECTED,  /**< signature, vendor, class, version: never again */
    CAMP_FAIL_INSTALL,   /**< installed and failed, rolled back: not again by itself */
    CAMP_FAIL_SILENT,    /**< no word since it began to install */
    CAMP_FAIL_NO_OBJECT, /**< the device cannot be updated in this way */
    CAMP_FAIL_COUNT,
};

/** What has been learnt of a device; members without their flag are unknown. */
struct camp_report {
    enum camp_phase_dev at; /**< CAMP_AT_UNKNOWN = not said */
    bool has_result;        /**< result holds; a code that stands for "none" does not count */
    bool result_ok;         /**< the device says that it is done */
    int32_t result;         /**< as the device says it */
    enum camp_fail fail;    /**< kind of a bad result */
    bool has_target;        /**< @c at_target holds: version or digest was seen */
    bool at_target;         /**< what the campaign brings is what runs */
    char version[CAMP_VERSION_MAX + 1]; /**< "" = not seen */
    char code[CAMP_CODE_MAX + 1];       /**< event code of the newest part ("UPD2_STATE_4"), "" */
    bool pull, push;                    /**< delivery, object 5 only */
    uint8_t schemes; /**< bits of enum camp_scheme that the device pulls by, object 5 only */
};

enum camp_scheme { CAMP_COAP = 1, CAMP_COAPS = 2, CAMP_HTTP = 4, CAMP_HTTPS = 8 };

/** One request of an operation. */
struct camp_step {
    enum dev_method method;
    const char *uri;          /**< a constant */
    const char *content_type; /**< "" = default */
    const char *observe;      /**< not NULL: subscribe to this path instead */
    struct dr_bytes payload;  /**< borrowed from the content */
    struct cx_body *body;     /**< instead of payload, borrowed from the content */
    bool optional;            /**< a device without it is fine */
};

struct camp_driver {
    enum camp_mech mech;
    const char *name;
    const char *probe; /**< a device whose registration has this path is updated in this way */
    /**
     * The @p step -th request of @p op. @param known  what READ has found
     * @retval DR_ERR_NOT_FOUND  the operation is over
     * @retval DR_ERR_UNSUPPORTED  it cannot be done with this device (no way of delivery in common)
     */
    dr_err_t (*request)(const struct camp_content *content, enum camp_op op, unsigned step,
                        const struct camp_report *known, struct camp_step *ret);
    /** Put what an answer (200) or a notification of @p path says into @p report. False: nothing.
     */
    bool (*value)(const struct camp_content *content, const char *path, const char *ct,
                  struct dr_bytes payload, struct camp_report *report);
    /** Text of a result code; a constant. */
    const char *(*result_text)(int32_t result);
};

extern const struct camp_driver camp_driver_pelion, camp_driver_object5;

/** NULL for CAMP_MECH_UNKNOWN. */
const struct camp_driver *camp_driver_of(enum camp_mech mech);

void camp_content_fini(struct camp_content *content);
