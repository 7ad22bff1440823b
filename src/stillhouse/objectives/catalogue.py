"""The table of contents of the room: every objective by the name that a recipe uses."""

from difflib import get_close_matches
from typing import cast

from stillhouse.errors import RecipeError
from stillhouse.objectives.contract import Objective
from stillhouse.objectives.divergences.correlation import dist
from stillhouse.objectives.divergences.decoupled import atkd, dkd
from stillhouse.objectives.divergences.entropies import cross_entropy_soft, entropy
from stillhouse.objectives.divergences.f_divergence import f_divergence
from stillhouse.objectives.divergences.kl import akl, forward_kl, jsd, reverse_kl
from stillhouse.objectives.divergences.mixtures import skew_kl, skew_reverse_kl, symmetric_kl, total_variation
from stillhouse.objectives.divergences.paired import mcc_kd
from stillhouse.objectives.divergences.perturbed import pt_loss
from stillhouse.objectives.divergences.powers import alpha_beta, amari, hellinger, renyi
from stillhouse.objectives.divergences.sampled import sampled_cross_entropy
from stillhouse.objectives.divergences.standardised import standardised_kl
from stillhouse.objectives.divergences.taid import taid
from stillhouse.objectives.divergences.weighting import tsld
from stillhouse.objectives.features.attention import attention_kl, attention_mse, minilm_relation
from stillhouse.objectives.features.attribution import attribution
from stillhouse.objectives.features.grams import fsp, mmd, nst
from stillhouse.objectives.features.quantised import quantgpt_contrastive
from stillhouse.objectives.features.relations import hard_dark_rank, pkt, rkd_angle, rkd_distance
from stillhouse.objectives.features.states import feature_cross_entropy, hidden_cosine, hidden_l1, hidden_mse, pkd, ted
from stillhouse.objectives.imitation import sft, unlikelihood
from stillhouse.objectives.policy.advantage_distillation import adpa, dckd
from stillhouse.objectives.policy.minillm import minillm
from stillhouse.objectives.policy.surrogates import ppo_clip, reinforce, value_loss
from stillhouse.objectives.policy.token_rewards import figa, rlmec, tlcr_discriminator
from stillhouse.objectives.preference.contrastive import distillm2
from stillhouse.objectives.preference.pairs import dpkd, dpo, dpop, hinge_dpo, ipo
from stillhouse.objectives.preference.pseudo_pairs import plad, spin
from stillhouse.objectives.preference.ranking import aft, knowpat, plackett_luce, pro, rrhf
from stillhouse.objectives.preference.reference_free import cpo, orpo, simpo, slic
from stillhouse.objectives.preference.reward_distillation import pessimistic_reward_distillation, reward_distillation
from stillhouse.objectives.preference.rewards import bradley_terry, listwise_reward
from stillhouse.objectives.preference.token_pairs import dpkd_token
from stillhouse.objectives.preference.unpaired import apa, kto
from stillhouse.objectives.vocabularies.cross_vocab import gold, uld
from stillhouse.objectives.vocabularies.dskd import dskd_student_space, dskd_teacher_space
from stillhouse.objectives.vocabularies.ensembles import ensemble_kl, fusellm
from stillhouse.signature import imported

OBJECTIVES: dict[str, Objective] = {
    "sft": sft,
    "unlikelihood": unlikelihood,
    "forward_kl": forward_kl,
    "reverse_kl": reverse_kl,
    "jsd": jsd,
    "akl": akl,
    "symmetric_kl": symmetric_kl,
    "skew_kl": skew_kl,
    "skew_reverse_kl": skew_reverse_kl,
    "total_variation": total_variation,
    "alpha_beta": alpha_beta,
    "amari": amari,
    "renyi": renyi,
    "hellinger": hellinger,
    "f_divergence": f_divergence,
    "taid": taid,
    "standardised_kl": standardised_kl,
    "pt_loss": pt_loss,
    "dkd": dkd,
    "atkd": atkd,
    "tsld": tsld,
    "dist": dist,
    "sampled_cross_entropy": sampled_cross_entropy,
    "uld": uld,
    "gold": gold,
    "dskd_student_space": dskd_student_space,
    "dskd_teacher_space": dskd_teacher_space,
    "ensemble_kl": ensemble_kl,
    "fusellm": fusellm,
    "mcc_kd": mcc_kd,
    "quantgpt_contrastive": quantgpt_contrastive,
    "entropy": entropy,
    "cross_entropy_soft": cross_entropy_soft,
    "hidden_mse": hidden_mse,
    "hidden_l1": hidden_l1,
    "hidden_cosine": hidden_cosine,
    "feature_cross_entropy": feature_cross_entropy,
    "ted": ted,
    "pkd": pkd,
    "attention_mse": attention_mse,
    "attention_kl": attention_kl,
    "minilm_relation": minilm_relation,
    "mmd": mmd,
    "nst": nst,
    "fsp": fsp,
    "rkd_distance": rkd_distance,
    "rkd_angle": rkd_angle,
    "pkt": pkt,
    "hard_dark_rank": hard_dark_rank,
    "attribution": attribution,
    "dpkd_token": dpkd_token,
    "dpkd": dpkd,
    "dpo": dpo,
    "ipo": ipo,
    "hinge_dpo": hinge_dpo,
    "dpop": dpop,
    "cpo": cpo,
    "simpo": simpo,
    "orpo": orpo,
    "slic": slic,
    "spin": spin,
    "plad": plad,
    "distillm2": distillm2,
    "reward_distillation": reward_distillation,
    "pessimistic_reward_distillation": pessimistic_reward_distillation,
    "rrhf": rrhf,
    "pro": pro,
    "plackett_luce": plackett_luce,
    "aft": aft,
    "knowpat": knowpat,
    "kto": kto,
    "apa": apa,
    "bradley_terry": bradley_terry,
    "listwise_reward": listwise_reward,
    "reinforce": reinforce,
    "ppo_clip": ppo_clip,
    "value_loss": value_loss,
    "minillm": minillm,
    "figa": figa,
    "rlmec": rlmec,
    "tlcr_discriminator": tlcr_discriminator,
    "adpa": adpa,
    "dckd": dckd,
}


def resolve(name: str) -> Objective:
    """The function behind a name: from `OBJECTIVES`, or "package.module:function", which is imported as it is.

    Raises RecipeError for a name that is neither, with the nearest legal names.
    """
    if ":" in name:
        return cast(Objective, imported(name, "objective"))
    if name not in OBJECTIVES:
        near = get_close_matches(name, OBJECTIVES, n=3) or list(OBJECTIVES)
        raise RecipeError(
            f"no objective is called '{name}'; the nearest are {', '.join(near)} "
            '(your own is "package.module:function")'
        )
    return OBJECTIVES[name]
