/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Level L has 64 slots of 64^L ms. A timer lies on the level of the highest group of six bits in
 * which its time differs from the wheel's, in the slot that these bits name. When the wheel's time
 * passes a slot of level 0 its timers are due; of a higher level, they are sorted into lower ones.
 * A slot is only spliced into one of two waiting lists, so that the work behind it can be done in
 * portions.
 *
 * Example: wheel at 1000 (0b1111 101000), timer at 1100 (0b10001 001100): the groups from bit 6 on
 * differ (15, 17), so level 1, slot 17. At 1088 that slot is opened and the timer falls into level
 * 0, slot 12.
 */
#include "base/timer.h"

void dr_wheel_init(struct dr_wheel *w, uint64_t now_ms)
{
    dr_assert(w != NULL);
    w->now_ms = now_ms;
    w->count = 0;
    for (int level = 0; level < DR_WHEEL_LEVELS; level++) {
        w->pending[level] = 0;
        for (int slot = 0; slot < DR_WHEEL_SLOTS; slot++) {
            dr_list_init(&w->slots[level][slot]);
        }
    }
    dr_list_init(&w->due);
    dr_list_init(&w->cascade);
}

/* Also for one that comes down from beyond the wheel: its slot was not its time. */
static void place(struct dr_wheel *w, struct dr_timer *t)
{
    if (t->at_ms <= w->now_ms) {
        dr_list_push_back(&w->due, &t->node);
        return;
    }
    uint64_t at = t->at_ms;
    uint64_t far = w->now_ms + ((uint64_t)1 << (DR_WHEEL_BITS * (DR_WHEEL_LEVELS - 1)));
    if ((at ^ w->now_ms) >> (DR_WHEEL_BITS * DR_WHEEL_LEVELS) != 0) {
        at = far; /* beyond the wheel: comes down after a part of its range and is placed anew */
        if ((at ^ w->now_ms) >> (DR_WHEEL_BITS * DR_WHEEL_LEVELS) != 0) {
            at = w->now_ms | (((uint64_t)1 << (DR_WHEEL_BITS * DR_WHEEL_LEVELS)) - 1);
        }
    }
    int level = at == w->now_ms ? 0 : (63 - __builtin_clzll(at ^ w->now_ms)) / DR_WHEEL_BITS;
    int slot = (int)(at >> (level * DR_WHEEL_BITS) & (DR_WHEEL_SLOTS - 1));
    dr_list_push_back(&w->slots[level][slot], &t->node);
    w->pending[level] |= (uint64_t)1 << slot;
}

void dr_timer_start(struct dr_wheel *w, struct dr_timer *t, uint64_t at_ms)
{
    dr_assert(w != NULL && t != NULL && t->fn != NULL);
    dr_timer_cancel(w, t);
    t->at_ms = at_ms;
    place(w, t);
    w->count++;
}

/* Unlink; the slot's bit goes with its last timer. */
static void take_out(struct dr_wheel *w, struct dr_timer *t)
{
    struct dr_list *head = t->node.next;
    bool last = head == t->node.prev;

    dr_list_remove(&t->node);
    if (last && head >= &w->slots[0][0] &&
        head <= &w->slots[DR_WHEEL_LEVELS - 1][DR_WHEEL_SLOTS - 1]) {
        size_t i = (size_t)(head - &w->slots[0][0]);
        w->pending[i / DR_WHEEL_SLOTS] &= ~((uint64_t)1 << i % DR_WHEEL_SLOTS);
    }
}

void dr_timer_cancel(struct dr_wheel *w, struct dr_timer *t)
{
    dr_assert(w != NULL && t != NULL);
    if (dr_timer_running(t)) {
        take_out(w, t);
        dr_assert(w->count > 0);
        w->count--;
    }
}

/* The slots of one level that the time passes on its way from old to now, both of this level's
 * units. */
static uint64_t passed(uint64_t old, uint64_t now)
{
    if (now - old >= DR_WHEEL_SLOTS) {
        return UINT64_MAX;
    }
    unsigned n = (unsigned)(now - old); /* slots old+1 .. now */
    if (n == 0) {
        return 0;
    }
    unsigned first = (unsigned)(old + 1) & (DR_WHEEL_SLOTS - 1);
    uint64_t bits = ((uint64_t)1 << n) - 1;
    return first == 0 ? bits : bits << first | bits >> (DR_WHEEL_SLOTS - first);
}

/* Splice all slots that the time passes, in the order in which it does. */
static void open_slots(struct dr_wheel *w, uint64_t now_ms)
{
    for (int level = 0; level < DR_WHEEL_LEVELS; level++) {
        int shift = level * DR_WHEEL_BITS;
        uint64_t old = w->now_ms >> shift;
        uint64_t now = now_ms >> shift;
        if (old == now) {
            break; /* and none of the higher groups has changed */
        }
        uint64_t open = passed(old, now) & w->pending[level];
        w->pending[level] &= ~open;
        for (unsigned k = 1; open != 0; k++) {
            unsigned slot = (unsigned)(old + k) & (DR_WHEEL_SLOTS - 1);
            if ((open & (uint64_t)1 << slot) != 0) {
                open &= ~((uint64_t)1 << slot);
                dr_list_splice(level == 0 ? &w->due : &w->cascade, &w->slots[level][slot]);
            }
        }
    }
    w->now_ms = now_ms;
}

static void run(struct dr_wheel *w, struct dr_timer *t)
{
    if (t->at_ms > w->now_ms) {
        place(w, t);
        return;
    }
    w->count--;
    t->fn(t, w->now_ms); /* last touch */
}

bool dr_wheel_advance_some(struct dr_wheel *w, uint64_t now_ms, uint32_t max)
{
    dr_assert(w != NULL && max > 0);
    if (now_ms > w->now_ms) {
        open_slots(w, now_ms);
    }
    for (uint32_t n = 0; n < max; n++) {
        struct dr_list *node = dr_list_pop_front(&w->due);
        if (node != NULL) {
            run(w, DR_CONTAINER_OF(node, struct dr_timer, node));
            continue;
        }
        node = dr_list_pop_front(&w->cascade);
        if (node == NULL) {
            return false;
        }
        place(w, DR_CONTAINER_OF(node, struct dr_timer, node));
    }
    return !dr_list_empty(&w->due) || !dr_list_empty(&w->cascade);
}

void dr_wheel_advance(struct dr_wheel *w, uint64_t now_ms)
{
    dr_assert(w != NULL);
    if (now_ms > w->now_ms) {
        open_slots(w, now_ms);
    }
    /* A timer that starts itself anew for a time that is past is due in the next call, not in this
     * one. */
    while (!dr_list_empty(&w->cascade)) {
        place(w, DR_CONTAINER_OF(dr_list_pop_front(&w->cascade), struct dr_timer, node));
    }
    struct dr_list now;
    dr_list_init(&now);
    dr_list_splice(&now, &w->due);
    for (struct dr_list *node = dr_list_pop_front(&now); node != NULL;
         node = dr_list_pop_front(&now)) {
        run(w, DR_CONTAINER_OF(node, struct dr_timer, node));
    }
}

uint64_t dr_wheel_deadline(const struct dr_wheel *w)
{
    dr_assert(w != NULL);
    if (!dr_list_empty(&w->due) || !dr_list_empty(&w->cascade)) {
        return w->now_ms;
    }
    uint64_t best = DR_TIMER_NEVER;
    for (int level = 0; level < DR_WHEEL_LEVELS; level++) {
        if (w->pending[level] == 0) {
            continue;
        }
        int shift = level * DR_WHEEL_BITS;
        uint64_t now = w->now_ms >> shift;
        unsigned first = (unsigned)(now + 1) & (DR_WHEEL_SLOTS - 1);
        uint64_t bits = w->pending[level];
        bits = first == 0 ? bits : bits >> first | bits << (DR_WHEEL_SLOTS - first);
        uint64_t at = (now + 1 + (uint64_t)__builtin_ctzll(bits)) << shift;
        best = at < best ? at : best;
    }
    return best;
}
