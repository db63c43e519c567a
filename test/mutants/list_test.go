package mutants

const (
	arrive   = "rules/dedup/machine.go"
	evidence = "rules/dedup/evidence.go"
	swap     = "rules/dedup/swap.go"
	finish   = "rules/dedup/finish.go"
	logins   = "rules/dedup/login.go"
	pack     = "rules/dedup/pack.go"
	peers    = "rules/dedup/peer.go"
	guard    = "rules/dedup/guard.go"
)

var mutants = []mutant{
	{
		"another token is evidence", logins,
		"m.logins[token] = l\n",
		"m.logins[token] = l\n\tl.refresh, l.requested, l.openUntil = true, now, now.add(window)\n\tm.reopen(l)\n",
		"TestAnotherTokenAloneIsNoEvidence",
	},
	{
		"constructors' tokens count", logins,
		"\t\tl.refresh = false\n\t\tl.lineage = l.token\n\t\tm.close(l)\n",
		"\t\t_ = l\n",
		"TestAConstructorsTokenPaysForNothing",
	},
	{
		"the oldest mark", evidence,
		"if k.likelier(&best) {\n\t\t\tbest = k\n\t\t}\n\t\tif best.grounds > borrowedLogin && (", "if k.grounds != noGrounds {\n\t\t\tbest = k\n\t\t}\n\t\tif false && (",
		"TestTheNewestOfSeveralAnswersIsTheOneToRepeat",
	},
	{
		"logins pay any number of times", evidence,
		"\tm.close(k.pays)\n", "",
		"TestALoginPaysForOneResendOnly",
	},
	{
		"reads leave no mark", finish,
		"if repeatable && ", "if c.dedup && repeatable && ",
		"TestAReadLeavesAMarkThatExplainsItsLogin",
	},
	{
		"the generation stops evidence too", arrive,
		"case in.Dedup && leader.recorded() && m.mayHave(c, leader):",
		"case in.Dedup && leader.recorded() && m.mayHave(c, leader) && !leader.stale && m.untouched(leader):",
		"TestInterleaving5ALateResendIsNotExecutedOverANewerSave",
	},
	{
		"retries are not known", arrive,
		"m.retryOf(c); leader != nil {", "m.retryOf(c); false {",
		"TestInterleaving4TheRetryOfACallerWhoGaveUp",
	},
	{
		"no orphans", arrive,
		"orphan := m.orphaned(h, r)", "orphan := m.orphaned(h, r) && false",
		"TestInterleaving3AnOrphansAnswerGoesToTheOvertakenResend",
	},
	{
		"any login gets an orphan's answer", swap,
		" && (r.open || m.paidFor(c.history, r.token, nil, nil)) ", "",
		"TestAnOrphansAnswerIsNotForALoginThatPaidForAnotherCall",
	},
	{
		"disowned marks count", "rules/dedup/disown.go",
		"for marks.Len() > 0 {", "for false {",
		"TestNoMarkOfSeveralThatWereDisownedIsForALaterLogin",
	},
	{
		"what was decided alone is evidence", "internal/store/redislog/replica.go",
		"\t\tr.machine.Disown()\n", "",
		"TestWhatWasDecidedAloneMakesNoEvidence",
	},
	{
		"an orphan does not look for the other's answer", swap,
		" || orphan && m.isOvertaken(x, c, r) {", " {",
		"TestInterleaving3AnOrphanWaitsForTheOthersResend",
	},
	{
		"a create without a subject", guard,
		"range created {", "range created[:0] {",
		"TestCreateDeleteCreate",
	},
	{
		"a change counts from its end only", guard,
		"\t\t\tm.seq++\n\t\t\tw.subject.gen = m.seq\n\t\t\tw.subject.busy++\n", "\t\t\t_ = c\n",
		"TestNothingIsReplayedWhileItsThingIsBeingChanged",
	},
	{
		"match: body for runJob", "configs/default.yaml",
		"dedup: {match: resend, ", "dedup: {match: body, ",
		"TestTheDefaultRulesCoverEveryChangingCall",
	},

	{
		"a change in flight does not count", guard,
		"|| w.subject.busy > 0 && ", "|| false && ",
		"TestNothingIsReplayedWhileItsThingIsBeingChanged",
	},
	{
		"an answer is never stale", guard,
		"c.stale = c.stale || ", "c.stale = false && ",
		"TestAnAnswerThatAChangeCameInBetweenIsStale",
	},
	{
		"an unknown subject changes nothing", guard,
		"return w.subject.is != everything || c.everything", "return w.subject.is != everything",
		"TestAChangeOfUnknownSubjectMayChangeAnything",
	},
	{
		"the window runs from the arrival", "rules/dedup/expiry.go",
		"now.add(c.window)), N", "c.lease.add(c.window-time.Minute)), N", // a minute is the lease in tests
		"TestTheWindowRunsFromTheAnswer",
	},
	{
		"a login waits for ever", "rules/dedup/expiry.go",
		"\t\tm.close(m.opens.Pop())\n", "\t\tm.opens.Pop()\n",
		"TestALoginWaitsForItsResendNoLongerThanTheWindow",
	},
	{
		"answers after the login count", evidence,
		"mayOwn := mk.at < r.requested && ", "mayOwn := ",
		"TestAMarkYoungerThanTheLoginIsNoEvidence",
	},
	{
		"any lineage will do", evidence,
		"mayOwn && m.oneClient(c.history, mk, r):", "mayOwn:",
		"TestALoginOfAnotherLineageDoesNotPayForThisOne",
	},
	{
		"a login pays for tokens that were in use before it", evidence,
		"(!l.used || o.issuedAt <= l.usedAt) && ", "",
		"TestALoginDoesNotPayForATokenThatWasInUseBeforeIt",
	},
	{
		"no login pays for an earlier one's token", evidence,
		"\t\treturn l, borrowedLogin\n", "\t\treturn nil, noGrounds\n",
		"TestInterleaving6AThreadThatIsPreemptedStoresItsTokenLast",
	},
	{
		"a borrowed login pays for younger marks", evidence,
		"case mk.at < l.requested && ", "case ",
		"TestALoginDoesNotPayForAMarkThatIsYounger",
	},
	{
		"the latest login pays", evidence,
		"\t\t\tfound = p.login\n\t\t\tcontinue\n", "\t\t\tfound = p.login\n\t\t\tbreak\n",
		"TestOfSeveralLoginsTheFirstAfterTheAnswerPays",
	},
	{
		"an unknown lineage is another client's", evidence,
		"return m.related(mk.by.lineage, r.lineage) || ", "return ",
		"TestATokenOfUnknownLineageMayBeAnyClients",
	},
	{
		"a guessed lineage is doubted also where no threads are seen", evidence,
		"r.app.threads && ", "",
		"TestALineageThatWasGuessedIsOneWhereNoThreadsAreSeen",
	},
	{
		"a guessed lineage is believed", evidence,
		"(r.guessed || m.guessed(mk.by.token))", "false",
		"TestALineageThatWasGuessedIsNoReasonAgainstTheOnlyCallOfItsKey",
	},
	{
		"an orphan's answer is for any lineage", evidence,
		"\tif mk.owner != nil && mk.owner.orphan != nil {\n\t\treturn false\n\t}\n", "",
		"TestAnOrphansAnswerIsNotForALoginThatPaidForAnotherCall",
	},
	{
		"a login is borrowed for any client's mark", evidence,
		"mk.at < l.requested && m.related(mk.by.lineage, r.lineage):", "mk.at < l.requested:",
		"TestALoginDoesNotPayForAMarkThatIsKnownToBeAnotherClients",
	},
	{
		"a refusal does not explain another thread's login", evidence,
		"!mk.denied && payers.owed(p, known) {", "!mk.denied && payers.owed(p, known) && false {",
		"TestALoginThatARefusalExplainsPaysForNoOtherToken",
	},
	{
		"a borrowed login is used up", evidence,
		"\tk.pays.paidForAnother = k.pays != r\n", "",
		"TestALoginThatPaidForAnotherTokenPaysForItsOwnOnce",
	},
	{
		"a borrowed login waits for ever", logins,
		"\tl.paidForAnother = l.paidForAnother && l.openUntil > now\n", "",
		"TestALoginThatPaidForAnotherTokenWaitsNoLongerThanTheWindow",
	},
	{
		"a borrowed login is given back whatever it paid for", finish,
		"if l := c.spentLogin; l.paidForAnother || l.token == c.token {", "if l := c.spentLogin; true {",
		"TestALoginThatPaidForItsOwnMeanwhileIsNotGivenBack",
	},
	{
		"an orphan's answer is owed once more", arrive,
		"\t\t\tother.becomeResend() // its answer is owed to nobody else\n", "",
		"TestAnOrphansAnswerIsOwedToNobodyOnceItWasOvertaken",
	},
	{
		"who overtook leaves a mark", arrive,
		"reason == Resend || reason == Overtaken\n", "reason == Resend\n",
		"TestAnAnswerThatAnOrphanTookIsOwedToNobody",
	},
	{
		"an orphan's answer is given again", swap,
		"x.mark.spent || x.phase", "x.phase",
		"TestAnOrphansAnswerThatWasRepeatedIsNotOvertaken",
	},
	{
		"any address will do", peers,
		"return a.oneAddress(x.addr, y.addr, z.addr) && ", "return ",
		"TestALoginFromElsewhereIsNoEvidence",
	},
	{
		"addresses are always believed", logins,
		"l.app.mixed = true", "l.app.mixed = false",
		"TestATokenFromTwoAddressesShowsThatAddressesTellNothing",
	},
	{
		"refusals explain nothing", evidence,
		"refusedOnly := payers.refusals.explain(r, own)", "refusedOnly := false",
		"TestALoginThatARefusalExplainsIsNoEvidenceForAnotherCall",
	},
	{
		"re-sends leave marks", finish,
		"if repeatable && !c.left && !c.resend {", "if repeatable && !c.left {",
		"TestARecognisedResendLeavesNoMark",
	},
	{
		"a retry leaves no mark", arrive,
		"if !c.resend && (", "if !c.resend && c.reason != Retry && (",
		"TestARetryIsANewFirstSend",
	},
	{
		"what could not be delivered is not given back", finish,
		"\t\tm.giveBack(c)\n", "\t\t_ = c\n",
		"TestAResendThatGaveUpGivesBothBack",
	},
	{
		"what is given back explains no login", finish,
		"\t\tm.link(mk)\n\t}\n\tif l", "\t\tmk.owner.history.unspent.Add(mk.key(), mk.owner.slot)\n\t}\n\tif l",
		"TestAMarkThatWasGivenBackExplainsItsLogin",
	},
	{
		"checked answers are for everybody", arrive,
		"return l != nil && l.issued && ", "return true || ",
		"TestACheckedAnswerIsForItsTokenAndThoseOfItsApp",
	},
	{
		"a history ends before its calls", finish,
		"if h.open+h", "if h",
		"TestWhoForwardsItselfAfterItsLeaderIsRemembered",
	},
	{
		"ended calls are held until their lease ends", finish,
		"\tm.leases.Remove(c.leaseKey())\n", "",
		"TestEndedCallsAreNotHeldUntilTheirLeaseEnds",
	},
	{
		"a key without lengths", "rules/dedup/key.go",
		"\t\tb = binary.BigEndian.AppendUint64(b, uint64(len(s)))\n", "",
		"FuzzKey",
	},
	{
		"a packed call forgets what it must not see changed", pack,
		"for i, w := range c.watches {\n\t\tr.subjects", "for i, w := range c.watches[:0] {\n\t\tr.subjects",
		"TestCreateDeleteCreate",
	},
	{
		"a packed call forgets that its mark is spent", pack,
		"case r.stamp.spent:", "case false:",
		"TestInterleaving3AnOrphanWaitsForTheOthersResend",
	},
	{
		"a packed read leaves no mark", pack,
		"\t\th.unspent.Add(r.markKey(&r.stamp), s)\n", "",
		"TestACallLooksAtNoAnswerThatNoLoginCanPayFor",
	},
	{
		"a packed read's mark outlives its window", pack,
		"\t\th.unspent.Remove(key)\n", "",
		"TestOneOfSeveralReadsThatWasForgottenIsNoEvidence",
	},
	{
		"what owes an answer is packed", pack,
		"len(c.deserters) > 0 || ", "",
		"TestAnObservedRetryIsUsedUp",
	},
	{
		"a search looks at everything", "rules/dedup/looks.go",
		"if left--; left == 0 {", "if left--; false {",
		"TestNoStepLooksAtMoreTheMoreThereIs",
	},
}
