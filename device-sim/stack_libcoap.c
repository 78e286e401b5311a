/* SPDX-License-Identifier: Apache-2.0 */
#include "device-sim/stack.h"

const struct sim_stack_ops *const sim_stack_libcoap = NULL;
