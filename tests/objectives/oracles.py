"""Independent formulas in NumPy float64, one row of logits at a time. They share no code with the package."""

from math import log

import numpy as np


def softmax(z, temperature=1.0):
    z = np.asarray(z, dtype=np.float64) / temperature
    e = np.exp(z - z[np.isfinite(z)].max())
    return e / e.sum()


def kl(a, b):
    both = (a > 0) & (b > 0)
    return float(np.sum(a[both] * np.log(a[both] / b[both])))


def forward_kl(zq, zp, temperature=1.0, tau_squared=False):
    return kl(softmax(zp, temperature), softmax(zq, temperature)) * (temperature**2 if tau_squared else 1)


def reverse_kl(zq, zp, temperature=1.0, tau_squared=False):
    return kl(softmax(zq, temperature), softmax(zp, temperature)) * (temperature**2 if tau_squared else 1)


def jsd(zq, zp, beta=0.5, temperature=1.0, tau_squared=False):
    p, q = softmax(zp, temperature), softmax(zq, temperature)
    if beta in (0.0, 1.0):
        return (kl(p, q) if beta == 0.0 else kl(q, p)) * (temperature**2 if tau_squared else 1)
    m = beta * p + (1 - beta) * q
    return (beta * kl(p, m) + (1 - beta) * kl(q, m)) * (temperature**2 if tau_squared else 1)


def akl(zq, zp, mu=0.5, head="official", temperature=1.0, tau_squared=False):
    p, q = softmax(zp, temperature), softmax(zq, temperature)
    mass, g_head, g_tail, reached = 0.0, 0.0, 0.0, False
    for rank, v in enumerate(np.argsort(-p, kind="stable")):
        mass += p[v]
        inside = not reached if head == "paper" else mass <= mu
        if rank == 0 or inside or mu >= 1:
            g_head += abs(p[v] - q[v])
        else:
            g_tail += abs(p[v] - q[v])
        reached = reached or mass >= mu
    share = g_head / (g_head + g_tail) if g_head + g_tail > 0 else 0.5
    return (share * kl(p, q) + (1 - share) * kl(q, p)) * (temperature**2 if tau_squared else 1)


def sft(zq, label, label_smoothing=0.0):
    q = softmax(zq)
    return -(1 - label_smoothing) * log(q[label]) - label_smoothing * float(np.mean(np.log(q[q > 0])))


def log_sigmoid(x):
    return -float(np.logaddexp(0.0, -x))


def dpkd_token(zq, zp, beta=0.1, form="sigmoid", dpop=0.0, reference_free=False, label_smoothing=0.0):
    p, q = softmax(zp), softmax(zq)
    both = (p > 0) & (q > 0)
    t, s = int(np.argmax(np.where(both, p, -1))), int(np.argmax(np.where(both, q, -1)))
    h = log(q[t]) - log(q[s]) - (0.0 if reference_free else log(p[t]) - log(p[s]))
    value = -(1 - label_smoothing) * log_sigmoid(beta * h) - label_smoothing * log_sigmoid(-beta * h)
    if form == "ipo":
        value = (h - 1 / (2 * beta)) ** 2
    return value + dpop * max(0.0, log(p[t]) - log(q[t]))
