// One step of Adam for one parameter (Kingma & Ba, "Adam: a method for stochastic optimization", 2015, algorithm 1).
#pragma once

#include "real.h"

namespace gsrecon {
inline namespace GSRECON_ISA {

// Everything a step needs that is the same for all parameters of a tensor.
template <class R> struct AdamStep {
    R beta1, beta2;         // decay of the moments
    R rate;                 // learning rate / (1 - beta1^t)
    R second_moment_scale;  // 1 / sqrt(1 - beta2^t)
    R epsilon;
};

template <class R> GSRECON_HD void adam(const AdamStep<R>& step, R gradient, R& value, R& first, R& second) {
    first = first + (1.0f - step.beta1) * (gradient - first);
    second = step.beta2 * second + (1.0f - step.beta2) * (gradient * gradient);
    value = value - step.rate * first / (square_root(second) * step.second_moment_scale + step.epsilon);
}

}  // namespace GSRECON_ISA
}  // namespace gsrecon
