"""Words by which the auto-router tells how hard a prompt is, by kind and language; data and nothing else.

A word that ends with `*` stands for all that begin with it. What is written without spaces between words is looked for
anywhere in a text, and so are phrases.
"""

from __future__ import annotations

from typing import Final

HARD: Final = """
prove proves proving proof* theorem* lemma* corollar* axiom* deriv* derivation* refut* disprov* counterexample*
generali* invariant* rigorous* asymptot* amorti* optimi* refactor* rearchitect*
migrat* architect* debug* deadlock* livelock* concurren* distribut* shard* consensus raft paxos
failover* resilien* vulnerab* exploit* reentran* adversar* reverse-engineer*
diagnos* trade-off* tradeoff* equilibri* bayes* eigen* topolog*
jurisdict* insolven* design*
rigour* lock-free lockless idempoten* exactly-once
rollback* downtime
induct* confound* counterfactual*
isomorph* homeomorph*
beweis* widerleg* herleit* leite herzuleiten verallgemeiner* entwirf entwerf* architektur* refaktor* migrier*
verteilt* nebenläufig* ausfall* abwäg* gutachten simulier*
démontr* prouve* preuve* théorème* généralis* conçois concev* architectur* optimis* distribué* analyse*
compromis implément* dérive*
demuestr* demostr* teorema* generaliza* diseñ* arquitectur* optimiz* distribuid* migraci* migra*
inducción depur* deriva deduce deducir
dimostra* dimostrazion* progetta* architettur* ottimizz* distribuit* generalizz* deriva*
prove demonstre projete arquitetura* otimiz* distribuíd* depure concorrent* generaliz*
bewijs* architectuur optimaliseer* gedistribueerd* veralgemeen* herleid*
докаж* доказ* опроверг* обобщ* спроектир* архитектур* оптимиз* распредел* отказоустойчив* проанализ* реализуй*
вывед* выведи инвариант* диагност* исследуй*
kanıtla* ispatla* tasarla* mimari* optimize dağıtık* genelle* türet*
udowodni* dowód* dowod* uogóln* zaprojektuj* architektur* zoptymaliz* rozprosz* wyprowad*
أثبت اثبت برهن برهان صمم استنتج عمم
"""

WORKING: Final = """
explain* describ* compar* contrast* summar* outlin* draft* write compose rewrite rephras* paraphras* essay* story
poem*
article* blog* letter* e-mail email* report* plan* propos* recommend* brainstorm* ideas checklist* itinerar* analy*
review* classif* categori* extract* pros cons advantage* disadvantage* difference* example* analogy step steps show
function* script* quer* sql regex* regular component* test* unit class code css html javascript typescript python
java
bash excel formula* convert* build* creat* generat* solve* calculat* how why guide tutorial* teach* lesson* minutes
causes effects discuss* interpret* paragraph* words sentences short-story description* slogan* speech* presentation*
contract* invoice* receipt* chart* diagram* table* customer* reply answer polite*
erklär* beschreib* vergleich* fass fasse zusammen* schreib* verfass* entwurf brief mahnung mail aufsatz artikel
plan*
erstell* unterschied* beispiel* vorteil* nachteil* liste checkliste funktion* skript* abfrage* ursache* löse
berechne
klassifizier* extrahier* warum wie
expliqu* décri* compar* résum* rédig* écri* lettre courriel article* histoire plan* différence* exemple* avantage*
inconvénient* fonction* pourquoi comment calcule* extrai* propos* crée créer
explic* describ* compar* resum* redact* escrib* carta correo artículo* cuento plan* diferencia* ejemplo* ventaja*
desventaja* función funciona calcula* extra* crea crear propón
spieg* descriv* confront* riassum* scriv* lettera articolo racconto differenz* esempi* vantagg* svantagg* funzione
perché calcola* crea
expliqu* descrev* compar* resum* escrev* redija carta artigo diferenç* exemplo* vantage* desvantage* função calcule
crie
uitleg* beschrijf* vergelijk* samenvat* schrijf* brief artikel verschil* voorbeeld* voordelen nadelen waarom hoe
объясн* опиш* сравн* напиш* составь письм* статья статью рассказ* отличи* разниц* пример* преимуществ* недостат*
функци*
почему план* реши вычисл* перепиш*
açıkla* karşılaştır* yaz özetle* örnek* fark* mektup makale hesapla* neden
wyjaśni* opisz porówn* stre* napisz list artykuł różnic* przykład* zalet* wad* funkcj* dlaczego oblicz* stwórz
اشرح وضح قارن لخص اكتب رسالة مقال مثال
"""

EASY: Final = """
hello hi hey thanks thank bye morning ping ok okay please who when where which spell* translat* synonym* antonym*
capital plural singular uppercase lowercase typo* convert define list name called abbreviation acronym stand colour
color
date time today tomorrow remind* switch turn rhyme* alphabetical* positive negative tag label correct one-line
greeting
birthday weather alarm
hallo danke bitte wer wann wo welche welcher übersetz* hauptstadt heißt nenne nenn synonym* mehrzahl plural
buchstabier*
wieviel uhr wetter
bonjour salut merci qui quand où quelle quel tradui* capitale pluriel synonyme* épelle* nomme combien heure météo
hola gracias quién cuándo dónde cuál cuántos cuántas cuánto traduc* capital sinónimo* dime nombra deletrea* hora
ciao grazie chi quando dove quale quanti come dice traduci capitale plurale sinonimo*
olá oi obrigado obrigada quem quando onde qual quantos traduz* plural sinônimo*
hallo dank wie wanneer waar welke hoeveel vertaal* hoofdstad meervoud
привет спасибо кто когда где какой какая какое сколько переведи* столица назови синоним*
merhaba selam teşekkür* kim nerede hangi kaç çevir* başkent*
cześć dzięki kto kiedy gdzie jaki jaka ile przetłumacz* stolica jak
مرحبا شكرا من متى أين ما كم ترجم عاصمة
"""

TECHNICAL: Final = """
algorithm* api assembly async atomic* authentication avx* aws backend balance* base64 binary bytecode cache*
canonical
clinical closure* cluster* codebase commit* compact* continuous* covariance creatinine crdt* cuda database* dataset*
deadline
deployment* derivat* determinant* docker electro* encryption engine* enzyme* equation* finite fpga function* fuzz*
galois
garbage gpu gradient* graph* group* grpc hash* hedg* hypothes* index* inequalit* infrastructure jvm kalman kafka
kubernetes
lambda linear* logarithm* logic* manifold* matrix matrices metric* microservice* model* monolith* mutex* neural
numerical
operator* oracle orthogonal* pathophysiolog* pharmaco* polynomial* postgres* process* profil* pytorch queue* raft
random*
react* recurs* regression* relational replication rust scala semaphore* sequence* series simd snapshot* socket*
sorted
spark statist* stochastic symmetric* tensor* terraform thread* tla trace* trigger* tree* troponin type* variance*
vector*
webassembly go golang c++ c++20 haskell repository* integration* pull-request stream* edges component* ledger*
event-sourced
region* metrics traces diff lemma* gruppe* menge* zahl* système* réseau sistema* datos memoria grupo* gruppo
grupy pierwiastek* функци* компакт* очеред* систем* баз* индекс* sistem* veri bellek
estimat* determin* bound* integer* prime* modulo optimal* evaluat* probabilit* causal* infer* specif* formal* scal*
fault* memory race patch* scheduler* protocol* partition* transaction* consisten* verif* differential* quantum*
relativis* thermodynam* complexit* regulat* audit* philosoph* port porting safety liveness implement* devis* invent*
critiqu* justif* investigat* reproduc* analyser analiz* analysier* analizza* analise analisar strategie* strateg*
stratég* kernel* compiler* parser* allocator* integral* algebra* transformer* latenc* throughput* leak* liabil*
negotiat* simulat* diagnosti* diagnostic* diagnostizier* begründe* implementier* implementa* implemente
implementeer*
ontwerp* analyseer* przeanaliz* zaimplement* roadmap* uygula حلل reconcil* rebalanc* converg* diverg* stochast*
rewrite* optimier* prueba cryptograph* réparti* thesis dissertation
"""
"""Words of a trade: harder to be right about, whatever is asked."""

HARD_ANYWHERE: Final = (
    "root cause", "step by step", "pull request", "race condition", "ring buffer", "find the bug",
    "find the cause", "at each step", "without downtime", "in place", "data race", "causa raiz", "causa raíz",
    "cause racine", "证明", "證明", "推导", "推广", "设计", "架构", "分布式", "一致性", "容错", "优化", "重构",
    "分析", "调试", "并发", "証明", "導出", "設計", "分散", "最適化", "競合", "特定し", "デバッグ",
    "リファクタ", "一般化", "증명", "설계", "분산", "최적화", "리팩터", "디버그", "분석",
)  # fmt: skip

WORKING_ANYWHERE: Final = (
    "解释", "解釋", "比较", "总结", "概括", "写一", "写封", "邮件", "例子", "举", "计划", "步骤", "代码",
    "函数", "为什么", "説明", "比較", "要約", "書い", "書き方", "例文", "例を", "メール", "なぜ", "コード",
    "関数", "計画", "설명", "비교", "요약", "작성", "이메일", "예시", "코드", "함수", "왜",
)  # fmt: skip

EASY_ANYWHERE: Final = (
    "你好", "谢谢", "哪里", "是谁", "什么时候", "多少", "首都", "翻译", "几个", "こんにちは", "ありがとう",
    "何ですか", "どこ", "誰", "いつ", "いくつ", "翻訳", "안녕", "감사", "누구", "언제", "어디", "몇", "수도",
    "번역",
)  # fmt: skip
