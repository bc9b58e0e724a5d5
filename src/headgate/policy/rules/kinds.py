"""Every kind of rule by the word that a policy uses for it."""

from headgate.policy.rules.advisories import (
    EpssRule,
    KnownExploitedRule,
    MaliciousRule,
    NamedRule,
    NotCheckedRule,
    ScoreRule,
    SeverityRule,
    StatusRule,
    UncuratedRule,
)
from headgate.policy.rules.ages import DatesRule, MaximumAgeRule, MinimumAgeRule
from headgate.policy.rules.feeds import FeedAgeRule
from headgate.policy.rules.files import DigestRule, FormatDuplicatesRule, LatestPatchRule, SizeRule
from headgate.policy.rules.licenses import LicenseRule
from headgate.policy.rules.match_specs import MatchSpecRule
from headgate.policy.rules.origins import InstallScriptsRule, OriginRule, ReservedNamesRule
from headgate.policy.rules.proofs import AttestationRule, SignatureRule
from headgate.policy.rules.rule import Rule

KINDS: dict[str, type[Rule]] = {
    kind.kind: kind
    for kind in (
        AttestationRule,
        DatesRule,
        DigestRule,
        EpssRule,
        FeedAgeRule,
        FormatDuplicatesRule,
        InstallScriptsRule,
        KnownExploitedRule,
        LatestPatchRule,
        LicenseRule,
        MaliciousRule,
        MatchSpecRule,
        MaximumAgeRule,
        MinimumAgeRule,
        NamedRule,
        NotCheckedRule,
        OriginRule,
        ReservedNamesRule,
        ScoreRule,
        SeverityRule,
        SignatureRule,
        SizeRule,
        StatusRule,
        UncuratedRule,
    )
}
