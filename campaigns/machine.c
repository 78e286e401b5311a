/* SPDX-License-Identifier: Apache-2.0 */
#include "campaigns/machine.h"

#include <stdio.h>
#include <string.h>

#define BACKOFF_MAX_MS  (24LL * 3600 * 1000)
#define POLL_OF_TIMEOUT (-1) /* left_ms: the READ under way was caused by a deadline */

static const struct {
    const char *name;
    const char *code; /* when the device gave none */
    bool slot, live, final;
} statuses[CAMP_STATUS_COUNT] = {
    [CAMP_QUEUED] = {"queued", "SYS_100", false, false, false},
    [CAMP_RETRY_WAIT] = {"retry_wait", "SYS_106", false, true, false},
    [CAMP_WAIT_DEVICE] = {"wait_device", "SYS_105", false, true, false},
    [CAMP_ADMITTED] = {"admitted", "SYS_113", true, true, false},
    [CAMP_DELIVERING] = {"delivering", "SYS_114", true, true, false},
    [CAMP_DELIVERED] = {"delivered", "SYS_115", true, true, false},
    [CAMP_CHECKING] = {"checking", "SYS_116", true, true, false},
    [CAMP_ASK_DOWNLOAD] = {"ask_download", "SYS_116", false, true, false},
    [CAMP_DOWNLOADING] = {"downloading", "SYS_116", true, true, false},
    [CAMP_DOWNLOADED] = {"downloaded", "SYS_116", true, true, false},
    [CAMP_ASK_INSTALL] = {"ask_install", "SYS_116", false, true, false},
    [CAMP_INSTALLING] = {"installing", "SYS_116", true, true, false},
    [CAMP_REBOOTING] = {"rebooting", "SYS_116", true, true, false},
    [CAMP_VERIFYING] = {"verifying", "SYS_120", false, true, false},
    [CAMP_SUCCEEDED] = {"succeeded", "SYS_112", false, false, true},
    [CAMP_SKIPPED] = {"skipped", "SYS_110", false, false, true},
    [CAMP_FAILED] = {"failed", "SYS_101", false, false, true},
    [CAMP_EXPIRED] = {"expired", "SYS_108", false, false, true},
    [CAMP_CANCELLED] = {"cancelled", "SYS_107", false, false, true},
    [CAMP_REMOVED] = {"removed", "SYS_122", false, false, true},
};

static bool known(int64_t status)
{
    return status > 0 && status < CAMP_STATUS_COUNT && statuses[status].name != NULL;
}

bool camp_status_final(int64_t status)
{
    return known(status) && statuses[status].final;
}

bool camp_status_slot(int64_t status)
{
    return known(status) && statuses[status].slot;
}

const char *camp_status_name(int64_t status)
{
    return known(status) ? statuses[status].name : "unknown";
}

const char *camp_bucket_name(enum camp_bucket bucket)
{
    static const char *const names[CAMP_BUCKETS] = {"info", "success", "fail", "skipped"};

    return bucket < CAMP_BUCKETS ? names[bucket] : "info";
}

enum camp_bucket camp_bucket_of(const struct db_campaign_device *row)
{
    switch (row->status) {
    case CAMP_SUCCEEDED:
        return CAMP_SUCCESS;
    case CAMP_FAILED:
        return CAMP_FAIL;
    case CAMP_EXPIRED:
        return row->delivered != 0 ? CAMP_FAIL : CAMP_INFO;
    case CAMP_SKIPPED:
    case CAMP_REMOVED:
        return CAMP_SKIP;
    default:
        return CAMP_INFO;
    }
}

const char *camp_deployment_state(const struct db_campaign_device *row, bool stopped)
{
    switch (row->status) {
    case CAMP_SUCCEEDED:
        return "deployed";
    case CAMP_SKIPPED:
        if (strcmp(row->code, "SYS_110") == 0) {
            return "deployed"; /* it was there before */
        }
        return stopped ? "manifestremoved" : "pending";
    case CAMP_FAILED:
        return "failed_connector_channel_update";
    case CAMP_EXPIRED:
    case CAMP_CANCELLED:
        return "manifestremoved";
    case CAMP_REMOVED:
        return "deregistered";
    default:
        return row->delivered != 0 ? "updated_connector_channel" : "pending";
    }
}

const char *camp_code_text(const char *code)
{
    static const struct {
        const char *code, *text;
    } texts[] = {
        {"SYS_100", "Waits for its turn"},
        {"SYS_101", "The update could not be delivered"},
        {"SYS_103", "The device made no progress in time"},
        {"SYS_104", "No word from the device since it began to install"},
        {"SYS_105", "Waits for the device"},
        {"SYS_106", "Waits for the next attempt"},
        {"SYS_107", "Cancelled before the device was done"},
        {"SYS_108", "The campaign ended before the device was done"},
        {"SYS_110", "The device runs this version already"},
        {"SYS_111", "The device went back to its old version"},
        {"SYS_112", "The device runs the new version"},
        {"SYS_113", "The device is asked for its state"},
        {"SYS_114", "The update is on its way"},
        {"SYS_115", "The update was delivered"},
        {"SYS_116", "The device works on the update"},
        {"SYS_117", "The update is not for this kind of device"},
        {"SYS_118", "The device has no object for updates"},
        {"SYS_120", "The new version is being watched"},
        {"SYS_121", "The device is in another campaign"},
        {"SYS_122", "The device was removed or left out"},
        {"SYS_123", "The device gave the update up"},
        {"UPD1_STATE_0", "Idle"},
        {"UPD1_STATE_1", "Downloading"},
        {"UPD1_STATE_2", "Downloaded"},
        {"UPD1_STATE_3", "Updating"},
        {"UPD1_OK_1", "Update successful"},
        {"UPD1_FAIL_2", "Not enough flash memory"},
        {"UPD1_FAIL_3", "Out of memory"},
        {"UPD1_FAIL_4", "Connection lost"},
        {"UPD1_FAIL_5", "Integrity check failed"},
        {"UPD1_FAIL_6", "Unsupported package type"},
        {"UPD1_FAIL_7", "Invalid URI"},
        {"UPD1_FAIL_8", "Update failed"},
        {"UPD1_FAIL_9", "Unsupported protocol"},
        {"UPD2_STATE_0", "Uninitialised"},
        {"UPD2_STATE_1", "Idle"},
        {"UPD2_STATE_2", "Processing manifest"},
        {"UPD2_STATE_3", "Awaiting download approval"},
        {"UPD2_STATE_4", "Downloading"},
        {"UPD2_STATE_5", "Downloaded"},
        {"UPD2_STATE_6", "Awaiting installation approval"},
        {"UPD2_STATE_7", "Installing"},
        {"UPD2_STATE_8", "Rebooting"},
        {"UPD2_OK_18", "Update successful"},
        {"UPD4_OK_100", "Update successful"},
    };

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (strcmp(texts[i].code, code) == 0) {
            return texts[i].text;
        }
    }
    return strstr(code, "_FAIL_") != NULL ? "The device refused or failed the update" : code;
}

/* ---- rows ---- */

static void text_set(char *to, size_t size, const char *from)
{
    if (to != from) {
        (void)snprintf(to, size, "%s", from == NULL ? "" : from);
    }
}

void camp_row_bind(struct camp_row *row)
{
    row->d.component = row->component;
    row->d.code = row->code;
    row->d.reason = row->reason;
    row->d.from_version = row->from_version;
}

void camp_row_load(struct camp_row *row, const struct db_campaign_device *from)
{
    row->d = *from;
    text_set(row->component, sizeof row->component, from->component);
    text_set(row->code, sizeof row->code, from->code);
    text_set(row->reason, sizeof row->reason, from->reason);
    text_set(row->from_version, sizeof row->from_version, from->from_version);
    camp_row_bind(row);
}

/* ---- moves ---- */

struct move {
    const struct camp_policy *p;
    const struct camp_input *in;
    struct camp_row *row;
    bool changed;
};

static int64_t deadline_of(const struct move *m, int64_t status)
{
    const struct camp_policy *p = m->p;
    int64_t s = 0;

    switch (status) {
    case CAMP_ADMITTED:
        s = p->admit_s;
        break;
    case CAMP_DELIVERING:
        s = p->deliver_s;
        break;
    case CAMP_DELIVERED:
    case CAMP_CHECKING:
        s = p->check_s;
        break;
    case CAMP_ASK_DOWNLOAD:
    case CAMP_ASK_INSTALL:
        s = p->consent_s;
        break;
    case CAMP_DOWNLOADING:
    case CAMP_DOWNLOADED:
        s = p->download_s;
        break;
    case CAMP_INSTALLING:
    case CAMP_REBOOTING:
        s = p->install_s;
        break;
    case CAMP_VERIFYING:
        s = p->soak_s;
        break;
    default:
        break;
    }
    return s == 0 ? 0 : m->in->now_ms + s * 1000;
}

/* Into @p status; code NULL = that of the status. */
static void enter(struct move *m, int64_t status, const char *code, const char *reason)
{
    struct db_campaign_device *d = &m->row->d;

    d->status = status;
    d->deadline = deadline_of(m, status);
    d->left_ms = 0;
    d->back_to = 0;
    text_set(m->row->code, sizeof m->row->code,
             code != NULL && code[0] != '\0' ? code : statuses[status].code);
    text_set(m->row->reason, sizeof m->row->reason,
             reason != NULL && reason[0] != '\0' ? reason : camp_code_text(m->row->code));
    if (statuses[status].final) {
        d->op = CAMP_OP_NONE;
        d->finished_at = m->in->now_ms;
    } else {
        d->finished_at = 0;
    }
    m->changed = true;
}

static void op_set(struct move *m, enum camp_op op)
{
    m->row->d.op = op;
    m->row->d.op_seq++;
    m->changed = true;
}

static void op_clear(struct move *m)
{
    if (m->row->d.op != CAMP_OP_NONE) {
        m->row->d.op = CAMP_OP_NONE;
        m->changed = true;
    }
}

/* Ask the device, unless that is under way. */
static void read_again(struct move *m)
{
    if (m->row->d.op != CAMP_OP_READ) {
        op_set(m, CAMP_OP_READ);
    }
}

static void attempt_failed(struct move *m, enum camp_fail fail, const char *code,
                           const char *reason)
{
    struct db_campaign_device *d = &m->row->d;
    bool again = fail == CAMP_FAIL_TRANSIENT || fail == CAMP_FAIL_DEVICE;

    d->attempt++;
    d->fail = fail;
    op_clear(m);
    if (!again || d->attempt > m->p->retry_max) {
        enter(m, CAMP_FAILED, code, reason);
        return;
    }
    int64_t wait = m->p->retry_backoff_s * 1000 * (fail == CAMP_FAIL_DEVICE ? 4 : 1);
    for (int64_t i = 1; i < d->attempt && wait < BACKOFF_MAX_MS; i++) {
        wait *= 2;
    }
    wait = wait > BACKOFF_MAX_MS ? BACKOFF_MAX_MS : wait;
    enter(m, CAMP_RETRY_WAIT, code, reason);
    d->not_before = m->in->now_ms + wait + m->in->jitter_ms;
    d->registrations = 0;
}

/* The device cannot be reached: no slot, its deadline stands still. @param keep_op  the request is
 * still in the device's queue */
static void away(struct move *m, bool keep_op, bool poll)
{
    struct db_campaign_device *d = &m->row->d;
    int64_t from = d->status;
    int64_t left = d->deadline == 0 ? 0 : d->deadline - m->in->now_ms;

    if (!keep_op) {
        op_clear(m);
    }
    if (from == CAMP_WAIT_DEVICE) {
        d->deadline = poll && m->p->away_poll_s != 0 ? m->in->now_ms + m->p->away_poll_s * 1000 : 0;
        m->changed = true;
        return;
    }
    enter(m, CAMP_WAIT_DEVICE, NULL, NULL);
    d->back_to = from;
    d->left_ms = left > 0 ? left : 0;
    d->deadline = poll && m->p->away_poll_s != 0 ? m->in->now_ms + m->p->away_poll_s * 1000 : 0;
}

/* It is there again. False: it has to wait for a slot (then it is in the queue). */
static bool back(struct move *m)
{
    struct db_campaign_device *d = &m->row->d;
    int64_t to = d->back_to, left = d->left_ms;

    if (to < CAMP_DELIVERED && !m->in->slot_free) {
        op_clear(m);
        enter(m, CAMP_QUEUED, NULL, NULL);
        return false;
    }
    enter(m, to, NULL, NULL);
    if (left > 0) {
        d->deadline = m->in->now_ms + left;
    }
    return true;
}

static void succeed(struct move *m)
{
    struct db_campaign_device *d = &m->row->d;

    op_clear(m);
    d->fail = CAMP_FAIL_NONE;
    if (m->p->soak_s != 0 && !camp_status_final(d->status)) {
        if (d->status != CAMP_VERIFYING) {
            enter(m, CAMP_VERIFYING, NULL, NULL);
        }
        return;
    }
    enter(m, CAMP_SUCCEEDED, NULL, NULL);
}

/* ---- reports ---- */

static int64_t status_of_phase(enum camp_phase_dev at)
{
    static const uint8_t map[] = {
        [CAMP_AT_CHECKING] = CAMP_CHECKING,       [CAMP_AT_ASK_DOWNLOAD] = CAMP_ASK_DOWNLOAD,
        [CAMP_AT_DOWNLOADING] = CAMP_DOWNLOADING, [CAMP_AT_DOWNLOADED] = CAMP_DOWNLOADED,
        [CAMP_AT_ASK_INSTALL] = CAMP_ASK_INSTALL, [CAMP_AT_INSTALLING] = CAMP_INSTALLING,
        [CAMP_AT_REBOOTING] = CAMP_REBOOTING,
    };

    return at < sizeof map ? map[at] : 0;
}

/* The device works on something. */
static void report_progress(struct move *m, const struct camp_report *r, bool definitive)
{
    struct db_campaign_device *d = &m->row->d;
    int64_t to = status_of_phase(r->at);

    if (!definitive && to < CAMP_INSTALLING &&
        (d->status == CAMP_INSTALLING || d->status == CAMP_REBOOTING)) {
        read_again(m); /* old news, repeated after a crash of ours, or it begins anew: ask */
        return;
    }
    if (d->status == to) {
        if (definitive && d->left_ms == POLL_OF_TIMEOUT && to != CAMP_ASK_DOWNLOAD &&
            to != CAMP_ASK_INSTALL) {
            bool silent = to == CAMP_INSTALLING || to == CAMP_REBOOTING;
            attempt_failed(m, silent ? CAMP_FAIL_INSTALL : CAMP_FAIL_TRANSIENT, "SYS_103", NULL);
            return;
        }
        if (!definitive || to == CAMP_DOWNLOADING) {
            d->deadline = deadline_of(m, to);
            m->changed = true;
        }
    } else {
        enter(m, to, r->code, NULL);
    }
    if (to == CAMP_DOWNLOADED && m->in->may_install && d->op != CAMP_OP_EXECUTE &&
        (d->mech == CAMP_MECH_OBJECT5)) {
        op_set(m, CAMP_OP_EXECUTE);
    }
}

/* Nothing goes on at the device, and it says no result. */
static void report_idle(struct move *m, bool definitive)
{
    struct db_campaign_device *d = &m->row->d;

    switch (d->status) {
    case CAMP_DELIVERED:
        if (definitive) {
            attempt_failed(m, CAMP_FAIL_TRANSIENT, "SYS_123", NULL);
        }
        break;
    case CAMP_CHECKING:
    case CAMP_ASK_DOWNLOAD:
    case CAMP_DOWNLOADING:
    case CAMP_DOWNLOADED:
    case CAMP_ASK_INSTALL:
        if (definitive && d->left_ms == POLL_OF_TIMEOUT) {
            attempt_failed(m, CAMP_FAIL_TRANSIENT, "SYS_123", NULL);
        } else if (d->left_ms != POLL_OF_TIMEOUT &&
                   (d->deadline == 0 || d->deadline > m->in->now_ms + m->p->resume_s * 1000)) {
            d->deadline = m->in->now_ms + m->p->resume_s * 1000; /* it may go on by itself */
            m->changed = true;
        }
        break;
    case CAMP_INSTALLING:
    case CAMP_REBOOTING:
        if (definitive && d->registrations > 0) {
            attempt_failed(m, CAMP_FAIL_INSTALL, "SYS_111", NULL);
        }
        break;
    default:
        break;
    }
}

/* The answer to the question before a delivery. */
static void report_before(struct move *m, const struct camp_report *r)
{
    struct db_campaign_device *d = &m->row->d;
    bool busy = status_of_phase(r->at) != 0;

    text_set(m->row->from_version, sizeof m->row->from_version, r->version);
    d->result0 = r->has_result ? r->result : 0;
    d->mech = m->in->mech;
    if (busy && (d->status == CAMP_DELIVERING || d->delivered != 0)) {
        /* with what it has from us: of an attempt before, or a delivery whose answer was lost */
        d->delivered = 1;
        op_clear(m);
        report_progress(m, r, true);
        return;
    }
    if (busy && d->mech == CAMP_MECH_OBJECT5) {
        op_set(m, CAMP_OP_RESET);
        return;
    }
    if (busy) {
        attempt_failed(m, CAMP_FAIL_TRANSIENT, r->code, "The device is busy with another update");
        return;
    }
    if (d->status != CAMP_DELIVERING) {
        enter(m, CAMP_DELIVERING, NULL, NULL);
    }
    op_set(m, CAMP_OP_DELIVER);
}

static void report_done(struct move *m, const struct camp_report *r, bool definitive)
{
    struct db_campaign_device *d = &m->row->d;

    if (!r->has_target && definitive && (d->registrations > 0 || r->at == CAMP_AT_IDLE)) {
        succeed(m); /* nothing says which version it runs: its word has to do */
        return;
    }
    if (r->has_target && definitive && d->registrations > 0) {
        attempt_failed(m, CAMP_FAIL_INSTALL, "SYS_111", NULL);
        return;
    }
    if (d->status < CAMP_REBOOTING) {
        enter(m, CAMP_REBOOTING, r->code, NULL);
    }
    if (!definitive) {
        read_again(m);
    }
}

static void report(struct move *m, bool definitive)
{
    const struct camp_report *r = m->in->report;
    struct db_campaign_device *d = &m->row->d;
    bool before;

    if (definitive) {
        op_clear(m);
    }
    if (d->status == CAMP_REMOVED || d->status == CAMP_SUCCEEDED || d->status == CAMP_SKIPPED) {
        return;
    }
    if (r->has_target && r->at_target) {
        if (d->delivered == 0 && d->status <= CAMP_DELIVERED && d->status != CAMP_DELIVERING) {
            op_clear(m);
            d->mech = definitive ? m->in->mech : d->mech;
            enter(m, CAMP_SKIPPED, "SYS_110", NULL);
        } else {
            succeed(m);
        }
        return;
    }
    if (camp_status_final(d->status) || d->status == CAMP_QUEUED || d->status == CAMP_RETRY_WAIT) {
        return;
    }
    if (d->status == CAMP_WAIT_DEVICE && !back(m)) {
        return;
    }
    before = d->status == CAMP_ADMITTED || d->status == CAMP_DELIVERING;
    if (before) {
        if (definitive) {
            report_before(m, r);
        } else if (d->status == CAMP_DELIVERING && status_of_phase(r->at) > CAMP_DELIVERED) {
            d->delivered = 1; /* its notification overtook its answer */
            op_clear(m);
            report_progress(m, r, false);
        } else if (d->status == CAMP_DELIVERING && r->has_result && !r->result_ok &&
                   r->result != d->result0) {
            d->delivered = 1; /* and so did its failure */
            attempt_failed(m, r->fail, r->code, m->in->reason);
        }
        return;
    }
    bool stale = definitive && d->status == CAMP_DELIVERED && r->result == d->result0;
    if (r->has_result && !r->result_ok && !stale) {
        attempt_failed(m, r->fail, r->code, m->in->reason);
        return;
    }
    if (r->has_result && r->result_ok && d->status >= CAMP_DOWNLOADED) {
        report_done(m, r, definitive);
        return;
    }
    if (status_of_phase(r->at) != 0) {
        report_progress(m, r, definitive);
    } else if (r->at == CAMP_AT_IDLE) {
        report_idle(m, definitive);
    }
    if (definitive && d->left_ms == POLL_OF_TIMEOUT && !camp_status_final(d->status) &&
        d->status != CAMP_RETRY_WAIT) {
        d->left_ms = 0;
        d->deadline = deadline_of(m, d->status);
        m->changed = true;
    }
}

/* ---- the other inputs ---- */

/* Is the device told to forget what it has? Then back_to is where the row goes from there. */
static bool withdrawing(const struct db_campaign_device *d)
{
    return d->status != CAMP_WAIT_DEVICE &&
           (d->back_to == CAMP_CANCELLED || d->back_to == CAMP_QUEUED);
}

/* It did not confirm. */
static void withdraw_failed(struct move *m)
{
    struct db_campaign_device *d = &m->row->d;

    if (d->back_to == CAMP_CANCELLED) {
        enter(m, CAMP_CANCELLED, NULL, "Cancelled; the device has not confirmed it");
        return;
    }
    d->back_to = 0; /* it goes on with what it has */
    d->deadline = deadline_of(m, d->status);
    op_clear(m);
    read_again(m);
}

static void op_ok(struct move *m)
{
    struct db_campaign_device *d = &m->row->d;
    int64_t op = d->op;

    op_clear(m);
    if (op == CAMP_OP_RESET && withdrawing(d)) {
        d->delivered = d->back_to == CAMP_QUEUED ? 0 : d->delivered;
        enter(m, d->back_to, NULL, NULL);
        return;
    }
    if (d->status == CAMP_WAIT_DEVICE) {
        int64_t to = d->back_to;
        enter(m, to, NULL, NULL);
    }
    if (op == CAMP_OP_DELIVER && d->status == CAMP_DELIVERING) {
        enter(m, CAMP_DELIVERED, NULL, NULL);
        d->delivered = 1;
    } else if (op == CAMP_OP_EXECUTE && d->status == CAMP_DOWNLOADED) {
        enter(m, CAMP_INSTALLING, NULL, NULL);
        d->registrations = 0;
    } else if (op == CAMP_OP_RESET && d->status == CAMP_ADMITTED) {
        enter(m, CAMP_DELIVERING, NULL, NULL);
        op_set(m, CAMP_OP_DELIVER);
    }
}

static void op_failed(struct move *m)
{
    const struct camp_input *in = m->in;
    struct db_campaign_device *d = &m->row->d;

    if (d->op == CAMP_OP_RESET && withdrawing(d)) {
        withdraw_failed(m);
        return;
    }
    if (camp_status_final(d->status) || d->status == CAMP_RETRY_WAIT) {
        op_clear(m);
        return;
    }
    if (in->away) {
        if (d->status == CAMP_INSTALLING || d->status == CAMP_REBOOTING ||
            d->status == CAMP_VERIFYING) {
            op_clear(m); /* as expected: it restarts */
        } else {
            away(m, false, true);
        }
        return;
    }
    if (in->fail == CAMP_FAIL_NO_OBJECT && d->delivered == 0) {
        op_clear(m);
        enter(m, CAMP_SKIPPED, "SYS_118", in->reason);
        return;
    }
    if (d->op == CAMP_OP_READ && d->status >= CAMP_DELIVERED) {
        op_clear(m); /* it does not tell: wait for what it says by itself */
        return;
    }
    if (d->op == CAMP_OP_EXECUTE && d->fail == CAMP_FAIL_NONE && d->attempt < m->p->retry_max) {
        d->fail =
            CAMP_FAIL_TRANSIENT; /* perhaps it was told before a crash of ours and works: once */
        read_again(m);
        return;
    }
    attempt_failed(m, in->fail == CAMP_FAIL_NONE ? CAMP_FAIL_TRANSIENT : in->fail, in->code,
                   in->reason);
}

static void online(struct move *m)
{
    struct db_campaign_device *d = &m->row->d;

    if (camp_status_final(d->status)) {
        if (d->watch != 0) {
            read_again(m);
        }
        return;
    }
    switch (d->status) {
    case CAMP_QUEUED:
    case CAMP_ADMITTED:
    case CAMP_DELIVERING:
        break;
    case CAMP_RETRY_WAIT:
        if (d->delivered != 0) { /* it may have got there all the same */
            read_again(m);
        }
        break;
    case CAMP_INSTALLING:
    case CAMP_REBOOTING:
        d->registrations++;
        m->changed = true;
        read_again(m);
        break;
    default:
        read_again(m);
        break;
    }
}

static void offline(struct move *m)
{
    const struct db_campaign_device *d = &m->row->d;

    if (camp_status_final(d->status) || d->status == CAMP_QUEUED || d->status == CAMP_RETRY_WAIT ||
        d->status == CAMP_INSTALLING || d->status == CAMP_REBOOTING ||
        d->status == CAMP_VERIFYING) {
        return; /* to say goodbye before a restart is usual */
    }
    away(m, false, false);
}

static void deadline(struct move *m)
{
    struct db_campaign_device *d = &m->row->d;

    if (d->deadline == 0 || d->deadline > m->in->now_ms) {
        return;
    }
    if (withdrawing(d)) {
        withdraw_failed(m);
        return;
    }
    switch (d->status) {
    case CAMP_ADMITTED:
    case CAMP_DELIVERING:
        away(m, true, false);
        break;
    case CAMP_WAIT_DEVICE:
        read_again(m);
        d->deadline = m->in->now_ms + m->p->away_poll_s * 1000;
        m->changed = true;
        break;
    case CAMP_ASK_DOWNLOAD:
    case CAMP_ASK_INSTALL:
        attempt_failed(m, CAMP_FAIL_DEVICE, "SYS_103", "The device did not consent in time");
        break;
    case CAMP_INSTALLING:
    case CAMP_REBOOTING:
        if (d->left_ms == POLL_OF_TIMEOUT) {
            attempt_failed(m, CAMP_FAIL_SILENT, "SYS_104", NULL);
            break;
        }
        read_again(m);
        d->left_ms = POLL_OF_TIMEOUT;
        d->deadline = m->in->now_ms + m->p->check_s * 1000;
        m->changed = true;
        break;
    case CAMP_VERIFYING:
        op_clear(m);
        enter(m, CAMP_SUCCEEDED, NULL, NULL);
        break;
    case CAMP_DELIVERED:
    case CAMP_CHECKING:
    case CAMP_DOWNLOADING:
    case CAMP_DOWNLOADED:
        if (d->left_ms == POLL_OF_TIMEOUT) { /* it does not even answer */
            d->left_ms = 0;
            d->deadline = 0;
            away(m, true, true);
            break;
        }
        read_again(m);
        d->left_ms = POLL_OF_TIMEOUT;
        d->deadline = m->in->now_ms + m->p->check_s * 1000;
        m->changed = true;
        break;
    default:
        break;
    }
}

static void cancel(struct move *m)
{
    struct db_campaign_device *d = &m->row->d;
    int64_t at = d->status == CAMP_WAIT_DEVICE ? d->back_to : d->status;
    bool there = d->status != CAMP_WAIT_DEVICE;

    if (camp_status_final(d->status) || d->back_to == CAMP_CANCELLED) {
        return;
    }
    if (at >= CAMP_DOWNLOADING && !m->in->hard) {
        return;
    }
    if (at < CAMP_DELIVERING && d->delivered == 0) {
        enter(m, CAMP_CANCELLED, NULL, NULL);
        return;
    }
    if (there && at >= CAMP_DELIVERED && at <= CAMP_DOWNLOADED && d->mech == CAMP_MECH_OBJECT5 &&
        !m->in->hard) {
        op_set(m, CAMP_OP_RESET);
        d->back_to = CAMP_CANCELLED;
        d->deadline = m->in->now_ms + m->p->deliver_s * 1000;
        return;
    }
    d->delivered = 1; /* perhaps: so a later success is noticed */
    enter(m, CAMP_CANCELLED, NULL, "Cancelled; the device may go on with what it has");
}

/* Not counted as an attempt. Only object 5 can be told to forget; another device goes on. */
static void recall(struct move *m)
{
    struct db_campaign_device *d = &m->row->d;
    bool away = d->status == CAMP_WAIT_DEVICE;

    if (d->delivered == 0 && (d->status == CAMP_ADMITTED || away)) {
        op_clear(m);
        enter(m, CAMP_QUEUED, NULL, NULL);
    } else if (d->mech == CAMP_MECH_OBJECT5 && !withdrawing(d) && !away &&
               d->status >= CAMP_DELIVERED && d->status < CAMP_DOWNLOADING) {
        op_set(m, CAMP_OP_RESET);
        d->back_to = CAMP_QUEUED;
        d->deadline = m->in->now_ms + m->p->deliver_s * 1000;
    }
}

static void restart(struct move *m)
{
    struct db_campaign_device *d = &m->row->d;

    if (d->op != CAMP_OP_NONE && !withdrawing(d)) {
        op_set(m, CAMP_OP_READ); /* what was done is not known: the device says */
    } else if (d->op != CAMP_OP_NONE) {
        op_set(m, CAMP_OP_RESET);
    } else if (d->status > CAMP_DELIVERED && d->status <= CAMP_REBOOTING) {
        op_set(m, CAMP_OP_READ); /* what it has told meanwhile may be lost, its registration, too */
    }
}

bool camp_machine(const struct camp_policy *policy, const struct camp_input *in,
                  struct camp_row *row)
{
    struct camp_row next = *row;
    struct move m = {.p = policy, .in = in, .row = &next};
    struct db_campaign_device *d = &next.d;

    dr_assert(policy != NULL && in != NULL && known(row->d.status));
    switch (in->kind) {
    case CAMP_IN_ADMIT:
        if (d->status == CAMP_QUEUED || d->status == CAMP_RETRY_WAIT) {
            enter(&m, CAMP_ADMITTED, NULL, NULL);
            op_set(&m, CAMP_OP_READ);
        }
        break;
    case CAMP_IN_READ:
        report(&m, true);
        break;
    case CAMP_IN_NOTE:
        report(&m, false);
        break;
    case CAMP_IN_OP_OK:
        op_ok(&m);
        break;
    case CAMP_IN_OP_FAILED:
        op_failed(&m);
        break;
    case CAMP_IN_ONLINE:
        online(&m);
        break;
    case CAMP_IN_OFFLINE:
        offline(&m);
        break;
    case CAMP_IN_DEADLINE:
        deadline(&m);
        break;
    case CAMP_IN_CANCEL:
        cancel(&m);
        break;
    case CAMP_IN_RECALL:
        recall(&m);
        break;
    case CAMP_IN_EXPIRE:
        if (!camp_status_final(d->status)) {
            enter(&m, CAMP_EXPIRED, NULL, NULL);
        }
        break;
    case CAMP_IN_REMOVED:
        if (!camp_status_final(d->status)) {
            enter(&m, CAMP_REMOVED, NULL, NULL);
        }
        break;
    case CAMP_IN_SKIP:
        if (!camp_status_final(d->status)) {
            op_clear(&m);
            enter(&m, CAMP_SKIPPED, in->code, in->reason);
        }
        break;
    case CAMP_IN_RESTART:
        restart(&m);
        break;
    }
    if (!m.changed) {
        return false;
    }
    d->slot = statuses[d->status].slot;
    d->live = statuses[d->status].live;
    d->watch = d->live || d->op != CAMP_OP_NONE ||
               (d->delivered != 0 && d->status != CAMP_SUCCEEDED && d->status != CAMP_SKIPPED &&
                d->status != CAMP_REMOVED);
    d->bucket = camp_bucket_of(d);
    d->updated_at = in->now_ms;
    *row = next;
    camp_row_bind(row);
    return true;
}
