/* SPDX-License-Identifier: Apache-2.0 */
#include "client/core/boot.h"

static bool is_trial(const struct cl_slot_state *s)
{
    return s->valid && s->pending && !s->confirmed && !s->rejected;
}

static bool is_confirmed(const struct cl_slot_state *s)
{
    return s->valid && s->pending && s->confirmed && !s->rejected;
}

uint32_t cl_boot_floor(const struct cl_slot_state slots[CL_SLOTS], uint32_t stored)
{
    uint32_t floor = stored;

    for (int i = 0; i < CL_SLOTS; i++) {
        if (is_confirmed(&slots[i]) && slots[i].header.counter > floor) {
            floor = slots[i].header.counter;
        }
    }
    return floor;
}

static int newest(const struct cl_slot_state slots[CL_SLOTS],
                  bool (*fits)(const struct cl_slot_state *), uint32_t counter_min)
{
    int best = CL_SLOT_NONE;

    for (int i = 0; i < CL_SLOTS; i++) {
        if (fits(&slots[i]) && slots[i].header.counter >= counter_min &&
            (best == CL_SLOT_NONE || cl_later(slots[i].seq, slots[best].seq))) {
            best = i;
        }
    }
    return best;
}

struct cl_boot cl_boot_decide(const struct cl_slot_state slots[CL_SLOTS], uint32_t stored)
{
    int slot = newest(slots, is_trial, 0);

    if (slot != CL_SLOT_NONE) {
        bool old =
            slots[slot].header.counter < cl_boot_floor(slots, stored) && CL_RULE(CL_RULE_FLOOR);
        bool spent = slots[slot].tries >= CL_TRIES_MAX && CL_RULE(CL_RULE_TRIES);
        return (struct cl_boot){old || spent ? CL_BOOT_REJECT : CL_BOOT_TRIAL, slot};
    }
    slot = newest(slots, is_confirmed, CL_RULE(CL_RULE_FLOOR) ? stored : 0);
    return (struct cl_boot){slot == CL_SLOT_NONE ? CL_BOOT_NONE : CL_BOOT_RUN, slot};
}

cl_err_t cl_boot(const struct cl_layout *lay, const struct cl_trust *trust, struct cl_boot *ret)
{
    struct cl_slot_state slots[CL_SLOTS];

    for (int round = 0; round <= CL_SLOTS; round++) {
        for (int i = 0; i < CL_SLOTS; i++) {
            cl_slot_read(lay, trust, i, &slots[i]);
        }
        struct cl_boot boot = cl_boot_decide(slots, hal_counter_get());
        cl_err_t err = CL_OK;
        if (boot.act == CL_BOOT_REJECT) {
            err = cl_slot_mark(lay, boot.slot, CL_FLAG_REJECTED, 0, 0);
        } else if (boot.act == CL_BOOT_TRIAL && slots[boot.slot].tries < CL_TRIES_MAX) {
            err = cl_slot_mark(lay, boot.slot, CL_FLAG_TRIED, slots[boot.slot].tries, 0);
        }
        if (err != CL_OK) {
            return err;
        }
        if (boot.act != CL_BOOT_REJECT) {
            *ret = boot;
            return CL_OK;
        }
    }
    return CL_ERR_IO; /* a rejection that does not stick */
}

cl_err_t cl_boot_confirm(const struct cl_layout *lay, const struct cl_trust *trust,
                         const struct cl_boot *boot)
{
    struct cl_slot_state s;

    if (boot->act != CL_BOOT_TRIAL) {
        return CL_ERR_STATE;
    }
    cl_slot_read(lay, trust, boot->slot, &s);
    if (!is_trial(&s)) {
        return CL_ERR_STATE;
    }
    cl_err_t err = cl_slot_mark(lay, boot->slot, CL_FLAG_CONFIRMED, 0, 0);
    if (err == CL_OK) {
        hal_counter_raise(s.header.counter);
    }
    return err;
}
