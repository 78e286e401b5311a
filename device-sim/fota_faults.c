/* SPDX-License-Identifier: Apache-2.0 */
#include "device-sim/fota_faults.h"

#include <string.h>

#include "base/rand.h"
#include "base/text.h"

static const char *const names[SIM_FOTA_FAULTS] = {
    [SIM_FOTA_REJECT] = "reject",         [SIM_FOTA_BROKEN] = "broken",
    [SIM_FOTA_CORRUPT] = "corrupt",       [SIM_FOTA_DEAD] = "dead",
    [SIM_FOTA_OLDVERSION] = "oldversion", [SIM_FOTA_SLOW] = "slow",
};

struct assign {
    uint32_t devices, free; /* free: how many have no fault yet */
    struct dr_prng prng;
    uint8_t *faults; /* NULL: only count */
};

/* The first device at or behind a random one that has no fault yet. */
static void give_any(struct assign *a, uint8_t fault)
{
    if (a->faults != NULL) {
        uint32_t i = dr_prng_below(&a->prng, a->devices);
        while (a->faults[i] != SIM_FOTA_FINE) {
            i = i + 1 < a->devices ? i + 1 : 0;
        }
        a->faults[i] = fault;
    }
    a->free--;
}

static dr_err_t give_count(struct assign *a, uint8_t fault, const char *text, size_t len)
{
    uint64_t n;
    double share;
    bool percent = len > 1 && text[len - 1] == '%';

    if (percent && dr_parse_double(text, len - 1, &share) == DR_OK && share >= 0 && share <= 100) {
        n = (uint64_t)(share * a->devices / 100 + 0.5);
    } else if (percent || dr_parse_u64_max(text, len, UINT32_MAX, &n) != DR_OK) {
        return DR_ERR_PROTO;
    }
    if (n > a->free) {
        return DR_ERR_RANGE;
    }
    for (uint64_t k = 0; k < n; k++) {
        give_any(a, fault);
    }
    return DR_OK;
}

/* "7+9" */
static dr_err_t give_named(struct assign *a, uint8_t fault, const char *text, size_t len)
{
    const char *end = text + len;

    for (;;) {
        const char *plus = memchr(text, '+', (size_t)(end - text));
        const char *stop = plus != NULL ? plus : end;
        uint64_t i;
        if (dr_parse_u64_max(text, (size_t)(stop - text), UINT32_MAX, &i) != DR_OK) {
            return DR_ERR_PROTO;
        }
        if (i >= a->devices || a->free == 0) {
            return DR_ERR_RANGE;
        }
        if (a->faults != NULL) {
            a->free -= a->faults[i] == SIM_FOTA_FINE;
            a->faults[i] = fault;
        }
        if (plus == NULL) {
            return DR_OK;
        }
        text = plus + 1;
    }
}

/* The named ones first, so that none is taken by chance. */
static dr_err_t give(struct assign *a, const char *item, size_t len, bool named)
{
    const char *equals = memchr(item, '=', len);

    for (uint8_t k = 1; equals != NULL && k < SIM_FOTA_FAULTS; k++) {
        if ((size_t)(equals - item) == strlen(names[k]) &&
            memcmp(item, names[k], strlen(names[k])) == 0) {
            const char *value = equals + 1;
            size_t n = len - (size_t)(value - item);
            if (n > 0 && value[0] == '@') {
                return named ? give_named(a, k, value + 1, n - 1) : DR_OK;
            }
            return named ? DR_OK : give_count(a, k, value, n);
        }
    }
    return DR_ERR_PROTO;
}

dr_err_t sim_fota_faults_assign(const char *text, uint32_t devices, uint64_t seed, uint8_t *faults,
                                bool *ret_once)
{
    struct assign a = {.devices = devices, .free = devices, .faults = faults};

    dr_assert(devices > 0 && ret_once != NULL);
    dr_prng_init(&a.prng, seed);
    *ret_once = false;
    for (unsigned pass = 0; text != NULL && pass < 2; pass++) {
        for (const char *at = text;;) {
            size_t len = strcspn(at, ",");
            bool once = len == 4 && memcmp(at, "once", 4) == 0;
            dr_err_t err = once ? DR_OK : give(&a, at, len, pass == 0);
            if (err != DR_OK) {
                return err;
            }
            *ret_once |= once;
            if (at[len] == '\0') {
                break;
            }
            at += len + 1;
        }
    }
    return DR_OK;
}
