package mutants

const (
	arrive   = "rules/dedup/machine.go"
	evidence = "rules/dedup/evidence.go"
	swap     = "rules/dedup/swap.go"
	finish   = "rules/dedup/finish.go"
	logins   = "rules/dedup/login.go"
	over     = "rules/dedup/over.go"
	peers    = "rules/dedup/peer.go"
	marks    = "rules/dedup/mark.go"
	guard    = "rules/guard/guard.go"
)

var mutants = []mutant{
	{
		"another token is evidence", logins, "Machine.addLogin",
		as("m.logins[t] = l; m.touch(l, n, w)", "m.logins[t] = l; l.refresh, l.requested, l.openUntil = true, n, n.add(w); m.reopen(l); m.touch(l, n, w)"),
		"TestAnotherTokenAloneIsNoEvidence",
	},
	{
		"constructors' tokens count", logins, "Machine.Presented",
		as("l.refresh = false; l.lineage = l.token; m.close(l)", ""),
		"TestAConstructorsTokenPaysForNothing",
	},
	{
		"the oldest mark", evidence, "Machine.evidence",
		as("if k.likelier(&b) { ___ }", "if k.grounds != noGrounds { ___ }", "if b.grounds > borrowedLogin && x { ___ }", ""),
		"TestTheNewestOfSeveralAnswersIsTheOneToRepeat",
	},
	{
		"logins pay any number of times", evidence, "Machine.spend",
		as("m.close(k.pays)", ""),
		"TestALoginPaysForOneResendOnly",
	},
	{
		"reads leave no mark", finish, "Machine.finish",
		as("x && !c.left && !c.resend", "c.dedup && x && !c.left && !c.resend"),
		"TestAReadLeavesAMarkThatExplainsItsLogin",
	},
	{
		"the generation stops evidence too", arrive, "Machine.decide",
		as("i.Dedup && l.recorded() && m.mayHave(c, l)", "i.Dedup && l.recorded() && m.mayHave(c, l) && m.untouched(l)"),
		"TestInterleaving5ALateResendIsNotExecutedOverANewerSave",
	},
	{
		"retries are not known", arrive, "Machine.decide",
		as("m.retryOf(c)", "(*call)(nil)"),
		"TestInterleaving4TheRetryOfACallerWhoGaveUp",
	},
	{
		"no orphans", arrive, "Machine.decide",
		as("m.orphaned(h, r)", "m.orphaned(h, r) && false"),
		"TestInterleaving3AnOrphansAnswerGoesToTheOvertakenResend",
	},
	{
		"any login gets an orphan's answer", swap, "Machine.otherHalf",
		as("isOrphan(x, c, r) && y", "isOrphan(x, c, r)"),
		"TestAnOrphansAnswerIsNotForALoginThatPaidForAnotherCall",
	},
	{
		"disowned marks count", "rules/dedup/disown.go", "Machine.Disown",
		as("for l.Len() > 0 { l.Pop().forgetMark() }", "_ = l"),
		"TestNoMarkOfSeveralThatWereDisownedIsForALaterLogin",
	},
	{
		"disowned marks of archived calls count", "rules/dedup/disown.go", "Machine.Disown",
		as("m.over.ForgetMarks(f)", ""),
		"TestAMarkThatWasDisownedIsNotForALaterLogin",
	},
	{
		"what was decided alone is evidence", "internal/store/redislog/replica.go", "Replica.Apply",
		as("r.machine.Disown()", ""),
		"TestWhatWasDecidedAloneMakesNoEvidence",
	},
	{
		"an orphan does not look for the other's answer", swap, "Machine.otherHalf",
		as("y || o && m.isOvertaken(x, c, r)", "y"),
		"TestInterleaving3AnOrphanWaitsForTheOthersResend",
	},
	{
		"a create without a subject", guard, "Things.Ended",
		as("for _, s := range c { ___ }", "for _, s := range c[:0] { ___ }"),
		"TestCreateDeleteCreate",
	},
	{
		"a change counts from its end only", guard, "Things.Sent",
		as("ts.raise(w.Thing); w.Thing.Busy++", ""),
		"TestNothingIsReplayedWhileItsThingIsBeingChanged",
	},
	{
		"match: body for runJob", "configs/default.yaml", "",
		as("dedup: {match: resend, ", "dedup: {match: body, "),
		"TestTheDefaultRulesCoverEveryChangingCall",
	},
	{
		"a change in flight does not count", guard, "Change.Untouched",
		as("x || w.Thing.Busy > 0 && y", "x"),
		"TestNothingIsReplayedWhileItsThingIsBeingChanged",
	},
	{
		"an answer is never stale", guard, "Things.Ended",
		as("c.Stale = c.Stale || x", "c.Stale = false && x"),
		"TestAnAnswerThatAChangeCameInBetweenIsStale",
	},
	{
		"an unknown subject changes nothing", guard, "Change.Changes",
		as("x || c.unreadable", "x"),
		"TestAChangeOfUnknownSubjectMayChangeAnything",
	},
	{
		"the window runs from the arrival", "rules/dedup/expiry.go", "Machine.remember",
		as("c.ends = n.add(c.window)", "c.ends = c.lease.add(c.window - time.Minute)"),
		"TestTheWindowRunsFromTheAnswer",
	},
	{
		"a login waits for ever", "rules/dedup/expiry.go", "Machine.expireDue",
		as("m.close(m.opens.Pop())", "m.opens.Pop()"),
		"TestALoginWaitsForItsResendNoLongerThanTheWindow",
	},
	{
		"answers after the login count", evidence, "Machine.payerOf",
		as("o := k.at < r.requested && x", "o := x"),
		"TestAMarkYoungerThanTheLoginIsNoEvidence",
	},
	{
		"any lineage will do", evidence, "Machine.payerOf",
		as("o && m.oneClient(h, k, r)", "o"),
		"TestALoginOfAnotherLineageDoesNotPayForThisOne",
	},
	{
		"a login pays for tokens that were in use before it", evidence, "login.overwrote",
		as("x && (!l.used || y)", "x"),
		"TestALoginDoesNotPayForATokenThatWasInUseBeforeIt",
	},
	{
		"no login pays for an earlier one's token", evidence, "Machine.payerOf",
		as("return l, borrowedLogin", "return nil, noGrounds"),
		"TestInterleaving6AThreadThatIsPreemptedStoresItsTokenLast",
	},
	{
		"a borrowed login pays for younger marks", evidence, "Machine.payerOf",
		as("k.at < l.requested && m.related(a, b)", "m.related(a, b)"),
		"TestALoginDoesNotPayForAMarkThatIsYounger",
	},
	{
		"the latest login pays", evidence, "Machine.overwritten",
		as("f = p.login", "return p.login"),
		"TestOfSeveralLoginsTheFirstAfterTheAnswerPays",
	},
	{
		"an unknown lineage is another client's", evidence, "Machine.oneClient",
		as("m.related(a, b) || x", "x"),
		"TestATokenOfUnknownLineageMayBeAnyClients",
	},
	{
		"a guessed lineage is doubted also where no threads are seen", evidence, "Machine.oneClient",
		as("r.app.threads && x", "x"),
		"TestALineageThatWasGuessedIsOneWhereNoThreadsAreSeen",
	},
	{
		"a guessed lineage is believed", evidence, "Machine.oneClient",
		as("r.guessed || m.seen(t).guessed", "false"),
		"TestALineageThatWasGuessedIsNoReasonAgainstTheOnlyCallOfItsKey",
	},
	{
		"an orphan's answer is for any lineage", evidence, "Machine.oneClient",
		as("if k.call != nil && k.call.orphan != nil { ___ }", ""),
		"TestAnOrphansAnswerIsNotForALoginThatPaidForAnotherCall",
	},
	{
		"a login is borrowed for any client's mark", evidence, "Machine.payerOf",
		as("k.at < l.requested && m.related(a, b)", "k.at < l.requested"),
		"TestALoginDoesNotPayForAMarkThatIsKnownToBeAnotherClients",
	},
	{
		"a refusal does not explain another thread's login", evidence, "Machine.overwritten",
		as("!k.denied && m.owed(x, y, z)", "!k.denied && m.owed(x, y, z) && false"),
		"TestALoginThatARefusalExplainsPaysForNoOtherToken",
	},
	{
		"a borrowed login is used up", evidence, "Machine.spend",
		as("k.pays.paidForAnother = x", ""),
		"TestALoginThatPaidForAnotherTokenPaysForItsOwnOnce",
	},
	{
		"a borrowed login waits for ever", logins, "Machine.loginOf",
		as("l.paidForAnother = x", ""),
		"TestALoginThatPaidForAnotherTokenWaitsNoLongerThanTheWindow",
	},
	{
		"a borrowed login is given back whatever it paid for", finish, "Machine.giveBack",
		as("l.paidForAnother || l.token == c.token", "true"),
		"TestALoginThatPaidForItsOwnMeanwhileIsNotGivenBack",
	},
	{
		"an orphan's answer is owed once more", swap, "Machine.join",
		as("o.resend = true; o.forgetMark()", ""),
		"TestAnOrphansAnswerIsOwedToNobodyOnceItWasOvertaken",
	},
	{
		"who overtook leaves a mark", arrive, "Machine.follow",
		as("x || r == Resend || r == Overtaken", "x || r == Resend"),
		"TestAnAnswerThatAnOrphanTookIsOwedToNobody",
	},
	{
		"an orphan's answer is given again", swap, "Machine.otherHalf",
		as("x.mark.spent || y", "y"),
		"TestAnOrphansAnswerThatWasRepeatedIsNotOvertaken",
	},
	{
		"any address will do", peers, "app.together",
		as("(a.mixed || w) && v", "v"),
		"TestALoginFromElsewhereIsNoEvidence",
	},
	{
		"addresses are always believed", logins, "Machine.loginOf",
		as("l.app.mixed = true", "l.app.mixed = false"),
		"TestATokenFromTwoAddressesShowsThatAddressesTellNothing",
	},
	{
		"refusals explain nothing", evidence, "Machine.evidence",
		as("m.refusalsExplain(r, p, o)", "false"),
		"TestALoginThatARefusalExplainsIsNoEvidenceForAnotherCall",
	},
	{
		"re-sends leave marks", finish, "Machine.finish",
		as("x && !c.resend", "x"),
		"TestARecognisedResendLeavesNoMark",
	},
	{
		"a retry leaves no mark", arrive, "Machine.deliver",
		as("!c.resend && x", "!c.resend && c.reason != Retry && x"),
		"TestARetryIsANewFirstSend",
	},
	{
		"what could not be delivered is not given back", finish, "Machine.Leave",
		as("m.giveBack(c)", ""),
		"TestAResendThatGaveUpGivesBothBack",
	},
	{
		"what is given back is no evidence", marks, "call.setSpent",
		as("c.mark.spent = s; c.linkMark()", "c.mark.spent = s; if s { c.linkMark() }"),
		"TestAMarkThatWasGivenBackTakesItsOldPlace",
	},
	{
		"checked answers are for everybody", arrive, "Machine.mayHave",
		as("l.issued && x", "true || x"),
		"TestACheckedAnswerIsForItsTokenAndThoseOfItsApp",
	},
	{
		"a history ends before its calls", over, "Machine.settle",
		as("h.open > 0", "false"),
		"TestWhoForwardsItselfAfterItsLeaderIsRemembered",
	},
	{
		"ended calls are held until their lease ends", finish, "Machine.forgetArrival",
		as("m.leases.Remove(x)", ""),
		"TestEndedCallsAreNotHeldUntilTheirLeaseEnds",
	},
	{
		"a key without lengths", "rules/dedup/key.go", "KeyParts.Key",
		as("b = binary.BigEndian.AppendUint64(b, uint64(len(s))); b = append(b, s...)", "b = append(b, s...)"),
		"FuzzKey",
	},
	{
		"an archived call forgets what it must not see changed", over, "Machine.put",
		as("copy(o.Watches[:], c.change.Watches)", ""),
		"TestCreateDeleteCreate",
	},
	{
		"a recalled call forgets that its mark is spent", over, "Machine.recalled",
		as("if c.mark.set { ___ }", "c.mark.spent = false; c.withMarks().Add(c.markKey(), c)"),
		"TestInterleaving3AnOrphanWaitsForTheOthersResend",
	},
	{
		"an archived read leaves no mark", over, "Machine.unspent",
		as("for a, o := range m.over.Marks(k, f, b) { ___ }", ""),
		"TestAReadLeavesAMarkThatExplainsItsLogin",
	},
	{
		"an archived read's mark outlives its window", "rules/dedup/archive/packed.go", "Packed.take",
		as("p.unlist(s, r)", ""),
		"TestPackedCallsComeBackAsTheyWere",
	},
	{
		"what owes an answer is archived", over, "Machine.put",
		as("x || len(c.deserters) > 0", "x"),
		"TestAnObservedRetryIsUsedUp",
	},
	{
		"a search looks at everything", "rules/dedup/looks.go", "few",
		as("l == 0", "false"),
		"TestNoStepLooksAtMoreTheMoreThereIs",
	},
}
