/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  base/list.h
 * @brief Intrusive doubly linked ring: a head and any number of nodes inside the caller's structs.
 *
 * Layer: base, pure.  Threads: the owner's.  Memory: the caller's.  Limits: none.  Security: none.
 * Spec: none.  A node must be initialised (or zero, see dr_list_linked) before it is asked or
 * unlinked.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct dr_list {
    struct dr_list *next, *prev;
};

static inline void dr_list_init(struct dr_list *l)
{
    l->next = l;
    l->prev = l;
}

static inline bool dr_list_empty(const struct dr_list *head)
{
    return head->next == head;
}

/** A node that is on some list. Zeroed and initialised nodes are not. */
static inline bool dr_list_linked(const struct dr_list *node)
{
    return node->next != NULL && node->next != node;
}

/** Put @p node before @p at. */
static inline void dr_list_insert(struct dr_list *at, struct dr_list *node)
{
    node->next = at;
    node->prev = at->prev;
    at->prev->next = node;
    at->prev = node;
}

static inline void dr_list_push_back(struct dr_list *head, struct dr_list *node)
{
    dr_list_insert(head, node);
}

static inline void dr_list_push_front(struct dr_list *head, struct dr_list *node)
{
    dr_list_insert(head->next, node);
}

/** Unlink; does nothing to a node that is on no list. */
static inline void dr_list_remove(struct dr_list *node)
{
    if (node->next != NULL) {
        node->prev->next = node->next;
        node->next->prev = node->prev;
    }
    dr_list_init(node);
}

/** First node, unlinked, or NULL. */
static inline struct dr_list *dr_list_pop_front(struct dr_list *head)
{
    if (dr_list_empty(head)) {
        return NULL;
    }
    struct dr_list *node = head->next;
    dr_list_remove(node);
    return node;
}

/** Move all nodes of @p from to the end of @p to. */
static inline void dr_list_splice(struct dr_list *to, struct dr_list *from)
{
    if (dr_list_empty(from)) {
        return;
    }
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    dr_list_init(from);
}

/** First entry's struct, or NULL when empty. */
#define DR_LIST_FIRST(head, type, member)                                                          \
    (dr_list_empty(head) ? NULL : DR_CONTAINER_OF((head)->next, type, member))

#define DR_LIST_EACH(it, head) for (struct dr_list *it = (head)->next; it != (head); it = it->next)

/** The current node may be unlinked or freed in the body. */
#define DR_LIST_EACH_SAFE(it, head)                                                                \
    for (struct dr_list *it = (head)->next, *it##_next = it->next; it != (head);                   \
         it = it##_next, it##_next = it->next)
