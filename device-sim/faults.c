/* SPDX-License-Identifier: Apache-2.0 */
#include "device-sim/faults.h"

bool sim_faults_init(struct sim_faults *faults, const struct sim_options *options)
{
    dr_assert(faults != NULL && options != NULL);
    *faults = (struct sim_faults){
        .loss = options->loss, .duplicate = options->duplicate, .reorder = options->reorder};
    dr_prng_init(&faults->prng, options->seed);
    return faults->loss + faults->duplicate + faults->reorder > 0;
}

enum cx_verdict sim_faults_decide(void *data, bool out, const uint8_t *bytes, size_t len)
{
    struct sim_faults *f = data;
    double at = dr_prng_double(&f->prng);

    (void)out;
    (void)bytes;
    (void)len;
    if (at < f->loss) {
        return CX_DROP;
    }
    at -= f->loss;
    if (at < f->duplicate) {
        return CX_DUPLICATE;
    }
    return at - f->duplicate < f->reorder ? CX_HOLD : CX_PASS;
}
